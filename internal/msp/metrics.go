package msp

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/endpoint"
	"whither/registry/update"
)

// metrics of an MSP: counts only, nothing of a person.
type metrics struct {
	answers  *endpoint.Metrics
	asked    prometheus.Counter
	registry prometheus.GaugeFunc
}

func newMetrics(source *update.Source, now func() time.Time) *metrics {
	return &metrics{
		answers: endpoint.NewMetrics("msp"),
		asked: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "msp", Name: "csis_asked_total", Help: "CSIs that the DP was asked about.",
		}),
		registry: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "msp", Name: "registry_seconds_left", Help: "Seconds until the registry expires.",
		}, func() float64 { return source.Snapshot().Expires().Sub(now()).Seconds() }),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return append(m.answers.Metrics(), m.asked, m.registry)
}
