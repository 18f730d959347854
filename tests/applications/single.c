/* One request at a time, over the standard streams that fcgi_stdio.h replaces: `FCGI_Accept`. */
#include <fcgi_stdio.h>

#include "questions.h"

extern char **environ;

int main(void) {
    while (FCGI_Accept() >= 0)
        answer(FCGI_stdin->fcgx_stream, FCGI_stdout->fcgx_stream, FCGI_stderr->fcgx_stream, environ);
    return 0;
}
