/* What every program of the tests answers; the query string says what is asked.
 *
 * env             the CGI environment, sorted        complain=TEXT   a line on the error stream
 * echo            the body that came                 die             half an answer, then SIGKILL
 * large=N         N octets: "0123456789" again       slow            an answer after a second
 */
#include <fcgiapp.h>

void answer(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, char **envp);
