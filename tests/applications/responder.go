// What every program of the tests answers (see questions.h), with net/http/fcgi on descriptor 0.
//
// The package keeps the CGI environment to itself: what a handler sees of it is the request and ProcessEnv.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/fcgi"
	"os"
	"strconv"
	"strings"
	"time"
)

func answer(w http.ResponseWriter, r *http.Request) {
	name, value, _ := strings.Cut(r.URL.RawQuery, "=")
	w.Header().Set("Content-Type", "text/plain")
	switch name {
	case "env":
		fmt.Fprintf(w, "REQUEST_METHOD=%s\nREQUEST_URI=%s\n", r.Method, r.RequestURI)
		for key, text := range fcgi.ProcessEnv(r) {
			fmt.Fprintf(w, "%s=%s\n", key, text)
		}
	case "echo":
		io.Copy(w, r.Body)
	case "large":
		octets, _ := strconv.Atoi(value)
		io.WriteString(w, strings.Repeat("0123456789", octets/10+1)[:octets])
	case "complain":
		fmt.Fprintln(os.Stderr, value)
		io.WriteString(w, "complained\n")
	case "die":
		io.WriteString(w, "half of")
		w.(http.Flusher).Flush()
		process, _ := os.FindProcess(os.Getpid())
		process.Kill()
	case "slow":
		time.Sleep(time.Second)
		fallthrough
	default:
		io.WriteString(w, "Hello\n")
	}
}

func main() {
	log.Fatal(fcgi.Serve(nil, http.HandlerFunc(answer)))
}
