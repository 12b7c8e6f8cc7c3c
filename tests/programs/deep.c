/* Ends the process in a thread of which `left` bytes of stack are left: by signal `end`, or by _exit. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static size_t left;
static int end;
static uintptr_t bottom;

static void deeper(void) {
    volatile char page[256];
    page[0] = 1;
    if ((uintptr_t)page - bottom > left) {
        deeper();
        page[1] = 1;
        return;
    }
    if (end == 0) _exit(3);
    if (end == 6) abort();
    pthread_kill(pthread_self(), end);
}

static void *body(void *unused) {
    pthread_attr_t attributes;
    void *start;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &start, &size);
    bottom = (uintptr_t)start;
    deeper();
    return unused;
}

void run(size_t bytes, int how) {
    pthread_t thread;
    left = bytes, end = how;
    pthread_create(&thread, 0, body, 0);
    pthread_join(thread, 0);
}
