package prover

import (
	"cmp"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/possession"
	"whither/problem"
)

// metrics of a prover: counts by outcome, nothing of a person, a domain or a
// client.
type metrics struct {
	answers    *endpoint.Metrics
	challenges *prometheus.CounterVec
	verdicts   *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	limits     *prometheus.CounterVec
	sims       *prometheus.CounterVec
	swept      prometheus.Counter
	registry   prometheus.GaugeFunc
}

func newMetrics(r Registry, now func() time.Time) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "prover", Name: name, Help: help,
		}, labels)
	}
	return &metrics{
		answers:    endpoint.NewMetrics("prover"),
		challenges: counter("challenges_total", "Challenges within the caps by kind and outcome: ok, or the problem.", "kind", "outcome"),
		verdicts:   counter("verdicts_total", "Answers to challenges by kind and outcome: ok, or the problem.", "kind", "outcome"),
		deliveries: counter("deliveries_total", "Attempts to deliver a stored challenge by outcome: ok, later, or refused.", "outcome"),
		limits: counter("limited_total",
			"Challenges refused by a cap: total, csi, domain, country, or key. Alarm on domain and country: it may be toll fraud.", "cap"),
		sims: counter("sim_checks_total",
			"Questions about SIM cards by outcome: unchanged, changed, not-offered, unavailable; not-asked: no operator is set. Alarm on changed.", "outcome"),
		swept: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "prover", Name: "swept_total", Help: "Challenges removed at their end.",
		}),
		registry: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "prover", Name: "registry_seconds_left", Help: "Seconds until the registry expires.",
		}, func() float64 { return r.Snapshot().Expires().Sub(now()).Seconds() }),
	}
}

// verdict counts an answer by what became of it.
func (m *metrics) verdict(k possession.Kind, outcome string) {
	m.verdicts.WithLabelValues(k.String(), outcome).Inc()
}

// outcome names what became of something for a metric.
func (p *Prover) outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return string(cmp.Or(p.Problem(err), problem.Internal))
}

// limited counts a refusal by a cap.
func (m *metrics) limited(err error) {
	var l limit.Error
	if errors.As(err, &l) {
		m.limits.WithLabelValues(l.Bound).Inc()
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return append(m.answers.Metrics(), m.challenges, m.verdicts, m.deliveries, m.limits, m.sims, m.swept, m.registry)
}
