package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// bounds of the latency histogram, in seconds.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// counter counts what was answered, by status code, and how long it took.
type counter struct {
	mutex   sync.Mutex
	codes   map[int]uint64
	buckets []uint64
	sum     float64
	count   uint64
}

func newCounter() *counter {
	return &counter{codes: map[int]uint64{}, buckets: make([]uint64, len(bounds))}
}

func (c *counter) observe(code int, took time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.codes[code]++
	c.sum += took.Seconds()
	c.count++
	for index, bound := range bounds {
		if took.Seconds() <= bound {
			c.buckets[index]++
		}
	}
}

func (c *counter) write(text *strings.Builder, labels string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	text.WriteString("# HELP shop_requests_total Requests answered.\n# TYPE shop_requests_total counter\n")
	for _, code := range slices.Sorted(maps.Keys(c.codes)) {
		fmt.Fprintf(text, "shop_requests_total{%s,code=\"%d\"} %d\n", labels, code, c.codes[code])
	}
	text.WriteString("# HELP shop_request_duration_seconds How long answers took.\n# TYPE shop_request_duration_seconds histogram\n")
	for index, bound := range bounds {
		fmt.Fprintf(text, "shop_request_duration_seconds_bucket{%s,le=\"%g\"} %d\n", labels, bound, c.buckets[index])
	}
	fmt.Fprintf(text, "shop_request_duration_seconds_bucket{%s,le=\"+Inf\"} %d\n", labels, c.count)
	fmt.Fprintf(text, "shop_request_duration_seconds_sum{%s} %g\n", labels, c.sum)
	fmt.Fprintf(text, "shop_request_duration_seconds_count{%s} %d\n", labels, c.count)
}
