/* An authorizer with libfcgi, after the skeleton of mod_fastcgi's documentation: who says key=VALUE is let in
 * as the user VALUE, everybody else is shown why not. Its errors go to the error stream. */
#include <fcgi_stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  while (FCGI_Accept() >= 0) {
    const char *role = getenv("FCGI_ROLE");
    const char *query = getenv("QUERY_STRING");
    printf("Content-Type: text/plain\r\n");
    if (role == NULL || strcmp(role, "AUTHORIZER") != 0) {
      printf("Status: 500\r\n\r\nasked as %s\n", role == NULL ? "nothing" : role);
    } else if (query != NULL && strncmp(query, "key=", 4) == 0) {
      printf("Variable-REMOTE_USER: %s\r\nVariable-Granted-By: libfcgi\r\n\r\nnobody reads this\n", query + 4);
    } else {
      fprintf(FCGI_stderr, "no key\n");
      printf("Status: 403 Forbidden\r\n\r\nno key, no page\n");
    }
  }
  return 0;
}
