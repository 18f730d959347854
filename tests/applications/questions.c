/* See questions.h. */
#include "questions.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void environment(FCGX_Stream *out, char **envp) {
    size_t count = 0;
    while (envp[count]) count++;
    char **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted) return;
    memcpy(sorted, envp, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_text);
    for (size_t at = 0; at < count; at++) FCGX_FPrintF(out, "%s\n", sorted[at]);
    free(sorted);
}

void answer(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, char **envp) {
    const char *asked = FCGX_GetParam("QUERY_STRING", envp);
    if (!asked) asked = "";
    FCGX_PutS("Content-Type: text/plain\r\n\r\n", out);
    if (!strcmp(asked, "env")) {
        environment(out, envp);
    } else if (!strcmp(asked, "echo")) {
        char piece[8192];
        int length;
        while ((length = FCGX_GetStr(piece, sizeof piece, in)) > 0) FCGX_PutStr(piece, length, out);
    } else if (!strncmp(asked, "large=", 6)) {
        long octets = strtol(asked + 6, NULL, 10);
        for (long at = 0; at < octets; at++) FCGX_PutChar('0' + (int)(at % 10), out);
    } else if (!strncmp(asked, "complain=", 9)) {
        FCGX_FPrintF(err, "%s\n", asked + 9);
        FCGX_PutS("complained\n", out);
    } else if (!strcmp(asked, "die")) {
        FCGX_PutS("half of", out);
        FCGX_FFlush(out);
        kill(getpid(), SIGKILL);
    } else {
        if (!strcmp(asked, "slow")) sleep(1);
        FCGX_PutS("Hello\n", out);
    }
}
