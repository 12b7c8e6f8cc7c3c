/* Opens two libpythons, each for itself, and finalises the second one first: LIB1 LIB2 HOME1 HOME2. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct python { int (*run)(const char *); int (*finalise)(void); };

static struct python start(const char *library, const char *home) {
    void *object = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!object) { fprintf(stderr, "%s\n", dlerror()); exit(9); }
    setenv("PYTHONHOME", home, 1);
    ((void (*)(void))dlsym(object, "Py_Initialize"))();
    return (struct python){ (int (*)(const char *))dlsym(object, "PyRun_SimpleString"),
                            (int (*)(void))dlsym(object, "Py_FinalizeEx") };
}

int main(int count, char **arguments) {
    if (count != 5) return 9;
    struct python first = start(arguments[1], arguments[3]), second = start(arguments[2], arguments[4]);
    second.run("import sys; print(sys.version_info[:2])");
    first.run("import sys; del sys.modules['errno']; import errno; print(sys.version_info[:2], errno.ENOENT)");
    int answer = second.finalise();
    return answer ? answer : first.finalise();
}
