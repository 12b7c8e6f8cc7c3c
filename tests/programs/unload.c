/* Opens libpython, runs code in it, finalises it and unloads it. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *python = dlopen(argv[1], RTLD_NOW);
    if (!python) return fprintf(stderr, "%s\n", dlerror()), 2;
    ((void (*)(int))dlsym(python, "Py_InitializeEx"))(1);
    ((int (*)(const char *))dlsym(python, "PyRun_SimpleString"))("import json");
    int status = ((int (*)(void))dlsym(python, "Py_FinalizeEx"))();
    dlclose(python);
    return status;
}
