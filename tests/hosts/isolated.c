/* isolated: a program linked with libpython that starts it with an isolated PyConfig, as an application that ships Python does:
 * no environment variable, no user site, no signal handler of Python's, the C streams left alone.
 *
 *     isolated CODE
 */
#include <Python.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: isolated CODE\n");
        return 2;
    }
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    PyStatus status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    int failed = PyRun_SimpleString(argv[1]) != 0;
    return Py_FinalizeEx() < 0 ? 120 : failed; /* 120 is what `python` itself exits with here */
}
