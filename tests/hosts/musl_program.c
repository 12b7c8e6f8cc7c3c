/* musl_program: no Python, and musl's loader: whatever is preloaded must load here too, or this program does not start. */
#include <stdio.h>

int main(void) {
    puts("not Python");
    return 0;
}
