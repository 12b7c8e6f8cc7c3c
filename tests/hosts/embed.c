/* embed: a program that opens libpython itself, as R's reticulate, Julia and uWSGI do, and can end in every way they do.
 *
 *     embed LIBPYTHON local|global MODE CODE...
 *
 * The library is opened with RTLD_LOCAL or RTLD_GLOBAL and each function looked up by name, so that no header is needed and one
 * binary serves every CPython from 2.7 on. RTLD_LOCAL hides the C API from extension modules: where they do not name libpython
 * themselves (3.8 and later) those in lib-dynload cannot be imported.
 *
 * MODE                    what happens
 * run                     initialise, run each CODE, finalise
 * no-finalize             initialise, run each CODE, return from main: Python's atexit never runs
 * twice                   initialise, run each CODE, finalise; and all of it again
 * subinterpreters         each CODE in a sub-interpreter of its own, ended in the order they were made; then finalise
 * subinterpreters-alive   the same, but the last one is still alive at finalisation
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SUBINTERPRETERS = 16 };

static struct {
    void (*initialize)(int install_signal_handlers);
    int (*run)(const char *code);
    void (*finalize)(void); /* Py_FinalizeEx is since 3.6, and what it returns is not needed */
    void *(*current_thread)(void);
    void *(*swap_thread)(void *thread);
    void *(*new_interpreter)(void);
    void (*end_interpreter)(void *thread);
} py;

static int failures;

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "embed: %s\n", dlerror());
        exit(2);
    }
    return found;
}

static void open_python(const char *path, int visibility) {
    void *library = dlopen(path, RTLD_NOW | visibility);
    if (!library) {
        fprintf(stderr, "embed: %s\n", dlerror());
        exit(2);
    }
    py.initialize = symbol(library, "Py_InitializeEx");
    py.run = symbol(library, "PyRun_SimpleString");
    py.finalize = symbol(library, "Py_Finalize");
    py.current_thread = symbol(library, "PyThreadState_Get");
    py.swap_thread = symbol(library, "PyThreadState_Swap");
    py.new_interpreter = symbol(library, "Py_NewInterpreter");
    py.end_interpreter = symbol(library, "Py_EndInterpreter");
}

static void run_each(char **codes) {
    for (; *codes; codes++)
        failures += py.run(*codes) != 0;
}

static void run_and_finalize(char **codes) {
    py.initialize(1);
    run_each(codes);
    py.finalize();
}

static void run_in_subinterpreters(char **codes, int leave_last) {
    void *threads[MOST_SUBINTERPRETERS];
    int count = 0;

    py.initialize(1);
    void *main_thread = py.current_thread();
    for (; codes[count] && count < MOST_SUBINTERPRETERS; count++) {
        threads[count] = py.new_interpreter(); /* it is current from here on */
        failures += !threads[count] || py.run(codes[count]) != 0;
    }
    for (int i = 0; i < count - leave_last; i++) {
        py.swap_thread(threads[i]);
        py.end_interpreter(threads[i]);
    }
    py.swap_thread(main_thread);
    py.finalize();
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: embed LIBPYTHON local|global MODE CODE...\n");
        return 2;
    }
    const char *visibility = argv[2], *mode = argv[3];
    char **codes = argv + 4;

    open_python(argv[1], strcmp(visibility, "local") == 0 ? RTLD_LOCAL : RTLD_GLOBAL);
    if (strcmp(mode, "run") == 0) {
        run_and_finalize(codes);
    } else if (strcmp(mode, "no-finalize") == 0) {
        py.initialize(1);
        run_each(codes);
    } else if (strcmp(mode, "twice") == 0) {
        run_and_finalize(codes);
        run_and_finalize(codes);
    } else if (strcmp(mode, "subinterpreters") == 0) {
        run_in_subinterpreters(codes, 0);
    } else if (strcmp(mode, "subinterpreters-alive") == 0) {
        run_in_subinterpreters(codes, 1);
    } else {
        fprintf(stderr, "embed: no mode is called %s\n", mode);
        return 2;
    }
    return failures ? 1 : 0;
}
