/* env [--chdir=DIR] [NAME=VALUE...] COMMAND [ARGUMENT...]: what the tests need of coreutils' env, for a root in which there is no
 * other libc than musl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argc;
    for (argv++; *argv; argv++) {
        if (!strncmp(*argv, "--chdir=", 8)) {
            if (chdir(*argv + 8)) { perror(*argv); return 125; }
        } else if (!strchr(*argv, '=') || putenv(*argv)) {
            break;
        }
    }
    if (!*argv) return 125;
    execvp(*argv, argv);
    perror(*argv);
    return 127;
}
