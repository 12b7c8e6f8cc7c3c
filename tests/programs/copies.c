/* Names variables of libpython's, so that the linker puts copies of them into this program (R_*_COPY), which
   libpython then uses as well. */
extern char PyDict_Type, PyModule_Type, PyUnicode_Type, _Py_NoneStruct;
void Py_InitializeEx(int);
int PyRun_SimpleString(const char *);
int Py_FinalizeEx(void);
char *volatile named[] = {&PyDict_Type, &PyModule_Type, &PyUnicode_Type, &_Py_NoneStruct};

int main(void) {
    Py_InitializeEx(1);
    PyRun_SimpleString("import json, sys; sys.modules['sqlite3'] = None");
    return Py_FinalizeEx();
}
