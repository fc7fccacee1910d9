// The example shop's server: every service of the shop runs it. It says which version it is, and misbehaves on request,
// so that a release of it looks like one of a real service. Everything is set by the environment variables in config.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmsgprefix)
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		pause()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "note" {
		if err := note(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	settings, err := readSettings(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	log.SetPrefix(fmt.Sprintf("%s %s: ", settings.name, settings.version))
	if settings.crash {
		log.Fatal("crashes at its start, as it was told to (SHOP_CRASH)")
	}
	serve(settings)
}

// pause only waits: a pod's sandbox needs a container that holds its namespaces.
func pause() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}

func serve(settings settings) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	begin := time.Now()
	select {
	case <-time.After(settings.startAfter):
	case <-stop:
		return
	}

	service := &service{settings: settings, begin: begin, served: newCounter()}
	server := &http.Server{Addr: fmt.Sprintf(":%d", settings.port), Handler: service.routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Printf("listens on %s", server.Addr)

	select {
	case err := <-failed:
		log.Fatal(err)
	case received := <-stop:
		log.Printf("%s: ends after %s", received, settings.stopAfter)
	}
	// Requests are still served meanwhile, as by a program that takes its time to leave.
	service.leaving.Store(true)
	time.Sleep(settings.stopAfter)
	bound, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(bound); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
	}
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /metrics", s.metrics)
	if s.settings.files != "" {
		mux.HandleFunc("GET /files/{file...}", s.file)
	}
	mux.HandleFunc("GET /", s.answer)
	return mux
}

// answer is the business of the shop: which pod of which version it is.
func (s *service) answer(response http.ResponseWriter, request *http.Request) {
	begin := time.Now()
	time.Sleep(s.settings.latency)
	status := http.StatusOK
	if rand.Float64() < s.settings.errorRate {
		status = http.StatusInternalServerError
	}
	host, _ := os.Hostname()
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	fmt.Fprintf(response, "{\"service\":%q,\"version\":%q,\"pod\":%q,\"path\":%q}\n", s.settings.name, s.settings.version, host, request.URL.Path)
	s.served.observe(status, time.Since(begin))
}

// healthz is for readiness probes.
func (s *service) healthz(response http.ResponseWriter, _ *http.Request) {
	if s.settings.neverReady || s.leaving.Load() {
		http.Error(response, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(response, "ok")
}

// metrics answers in Prometheus' text format.
func (s *service) metrics(response http.ResponseWriter, _ *http.Request) {
	response.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var text strings.Builder
	labels := fmt.Sprintf("service=%q,version=%q", s.settings.name, s.settings.version)
	s.served.write(&text, labels)
	fmt.Fprintf(&text, "# HELP shop_start_time_seconds When the server began, in seconds since 1970.\n")
	fmt.Fprintf(&text, "# TYPE shop_start_time_seconds gauge\n")
	fmt.Fprintf(&text, "shop_start_time_seconds{%s} %d\n", labels, s.begin.Unix())
	fmt.Fprint(response, text.String())
}
