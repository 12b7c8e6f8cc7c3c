/* Initialises and finalises; then a child does it again, and is a process of its own. */
#include <sys/wait.h>
#include <unistd.h>
void Py_InitializeEx(int);
int PyRun_SimpleString(const char *);
int Py_FinalizeEx(void);

int main(void) {
    Py_InitializeEx(1);
    PyRun_SimpleString("import sqlite3");
    if (Py_FinalizeEx()) return 1;
    if (fork() == 0) {
        Py_InitializeEx(1);
        PyRun_SimpleString("import json");
        _exit(Py_FinalizeEx());
    }
    int status = 0;
    wait(&status);
    return status;
}
