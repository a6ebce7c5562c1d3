/* Prints each argument on a line of its own, then the bytes of stdin as they are, then
 * exits with 0, or with N where an argument is `exit=N`. What it exits with goes to stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int code = 0;
    for (int i = 1; i < argc; i++) {
        puts(argv[i]);
        if (strncmp(argv[i], "exit=", 5) == 0) code = atoi(argv[i] + 5);
    }
    char bytes[65536];
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0) fwrite(bytes, 1, n, stdout);
    fprintf(stderr, "noshell: exit %d\n", code);
    return code;
}
