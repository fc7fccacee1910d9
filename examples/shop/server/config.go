package main

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// settings are read from the environment once, at the start.
type settings struct {
	// SHOP_SERVICE, SHOP_VERSION: named in every answer and metric.
	name, version string
	// SHOP_PORT: where it listens; 8080.
	port int
	// SHOP_CRASH: any value: ends with exit code 1 at once.
	crash bool
	// SHOP_NEVER_READY: any value: serves, but /healthz answers 503.
	neverReady bool
	// SHOP_START_SECONDS: how long it takes until it listens; 0.
	startAfter time.Duration
	// SHOP_STOP_SECONDS: how long it takes to end when it is asked to; 0.
	stopAfter time.Duration
	// SHOP_LATENCY_SECONDS: added to every answer; 0.
	latency time.Duration
	// SHOP_ERROR_RATE: the share of answers that are a 500, from 0 to 1; 0.
	errorRate float64
	// SHOP_FILES: a directory whose files it shows at /files/; none.
	files string
}

type service struct {
	settings settings
	begin    time.Time
	leaving  atomic.Bool
	served   *counter
}

func readSettings(environment func(string) string) (settings, error) {
	read := settings{
		name:       environment("SHOP_SERVICE"),
		version:    environment("SHOP_VERSION"),
		port:       8080,
		crash:      environment("SHOP_CRASH") != "",
		neverReady: environment("SHOP_NEVER_READY") != "",
		files:      environment("SHOP_FILES"),
	}
	var problem error
	number := func(name string, otherwise, least, most float64) float64 {
		text := environment(name)
		if text == "" {
			return otherwise
		}
		value, err := strconv.ParseFloat(text, 64)
		// Written so that NaN is refused too.
		if err != nil || !(value >= least && value <= most) {
			problem = fmt.Errorf("%s is %q; it must be a number from %g to %g", name, text, least, most)
		}
		return value
	}
	seconds := func(name string) time.Duration {
		return time.Duration(number(name, 0, 0, 86400) * float64(time.Second))
	}
	read.port = int(number("SHOP_PORT", 8080, 1, 65535))
	read.startAfter = seconds("SHOP_START_SECONDS")
	read.stopAfter = seconds("SHOP_STOP_SECONDS")
	read.latency = seconds("SHOP_LATENCY_SECONDS")
	read.errorRate = number("SHOP_ERROR_RATE", 0, 0, 1)
	return read, problem
}
