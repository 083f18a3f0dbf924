package prover

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/problem"
)

// metrics of a prover: counts by outcome, nothing of a person, a domain or a
// client.
type metrics struct {
	answers    *endpoint.Metrics
	replies    *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	limits     *prometheus.CounterVec
	swept      prometheus.Counter
	sessions   prometheus.Gauge
	registry   prometheus.GaugeFunc
}

func newMetrics(r Registry, now func() time.Time) *metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "prover", Name: name, Help: help,
		}, []string{"outcome"})
	}
	return &metrics{
		answers:    endpoint.NewMetrics("prover"),
		replies:    counter("replies_total", "Mails to reply addresses by outcome: ok, or the problem."),
		deliveries: counter("deliveries_total", "Attempts to deliver a challenge by outcome: ok, later, or refused."),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "prover", Name: "limited_total",
			Help: "Challenges refused by a cap: total, csi, domain, country, or key. Alarm on domain and country: it may be toll fraud.",
		}, []string{"cap"}),
		swept: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "prover", Name: "swept_total", Help: "Challenges removed at their end.",
		}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "prover", Name: "smtp_connections", Help: "Open SMTP connections.",
		}),
		registry: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "prover", Name: "registry_seconds_left", Help: "Seconds until the registry expires.",
		}, func() float64 { return r.Snapshot().Expires().Sub(now()).Seconds() }),
	}
}

// reply counts one mail by what became of it.
func (m *metrics) reply(err error) {
	outcome := "ok"
	if err != nil {
		if outcome = string(Kind(err)); outcome == "" {
			outcome = string(problem.Internal)
		}
	}
	m.replies.WithLabelValues(outcome).Inc()
}

// limited counts a refusal by a cap.
func (m *metrics) limited(err error) {
	var l limit.Error
	if errors.As(err, &l) {
		m.limits.WithLabelValues(l.Bound).Inc()
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return append(m.answers.Metrics(), m.replies, m.deliveries, m.limits, m.swept, m.sessions, m.registry)
}
