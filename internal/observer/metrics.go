package observer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/endpoint"
	"whither/possession/observe"
	"whither/problem"
	"whither/wire"
)

// metrics of an observer: counts by outcome, nothing of a domain or a caller.
type metrics struct {
	answers    *endpoint.Metrics
	looks      *prometheus.CounterVec
	forgotten  prometheus.Counter
	listed     prometheus.Gauge
	validating prometheus.Gauge
	registry   prometheus.GaugeFunc
}

func newMetrics(r Registry, now func() time.Time) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "whither", Subsystem: "observer", Name: name, Help: help})
	}
	return &metrics{
		answers: endpoint.NewMetrics("observer"),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "observer", Name: "looks_total", Help: "Looks by kind of key and outcome: ok, or the problem.",
		}, []string{"kind", "outcome"}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "observer", Name: "forgotten_total", Help: "Places forgotten because nobody asked for them.",
		}),
		listed:     gauge("listed_keys", "Keys in the last daily list that was signed since the start."),
		validating: gauge("resolver_validates", "1 if the resolver validates DNSSEC and can be believed. Alarm on 0 where it should."),
		registry: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "observer", Name: "registry_seconds_left", Help: "Seconds until the registry expires.",
		}, func() float64 { return r.Snapshot().Expires().Sub(now()).Seconds() }),
	}
}

// look counts a look by what became of it.
func (m *metrics) look(kind observe.Kind, err error) {
	of, outcome := wire.KeysOfDKIM, "ok"
	if kind == observe.JWKS {
		of = wire.KeysOfJWKS
	}
	if err != nil {
		if outcome = string(Kind(err)); outcome == "" {
			outcome = string(problem.Internal)
		}
	}
	m.looks.WithLabelValues(of, outcome).Inc()
}

func (m *metrics) collectors() []prometheus.Collector {
	return append(m.answers.Metrics(), m.looks, m.forgotten, m.listed, m.validating, m.registry)
}
