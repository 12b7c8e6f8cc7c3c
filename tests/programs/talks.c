/* A library that does harm: each process that it is preloaded into says something at its end. */
#include <unistd.h>

__attribute__((destructor)) static void end(void) {
    if (write(1, "bye\n", 4) != 4) _exit(9);
}
