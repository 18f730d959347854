/* Several requests at once: threads that all accept on descriptor 0, the socket that the web server opened. */
#include <pthread.h>

#include "questions.h"

enum { THREADS = 4 };

static pthread_mutex_t accepting = PTHREAD_MUTEX_INITIALIZER;

static void *serve(void *unused) {
    FCGX_Request request;
    (void)unused;
    if (FCGX_InitRequest(&request, 0, 0)) return NULL;
    for (;;) {
        pthread_mutex_lock(&accepting);
        int status = FCGX_Accept_r(&request);
        pthread_mutex_unlock(&accepting);
        if (status < 0) return NULL;
        answer(request.in, request.out, request.err, request.envp);
        FCGX_Finish_r(&request);
    }
}

int main(void) {
    pthread_t threads[THREADS];
    if (FCGX_Init()) return 1;
    for (int at = 0; at < THREADS; at++)
        if (pthread_create(&threads[at], NULL, serve, NULL)) return 1;
    for (int at = 0; at < THREADS; at++) pthread_join(threads[at], NULL);
    return 0;
}
