package bymail

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/prover"
	"whither/problem"
)

// metrics of the mail server: counts by outcome, nothing of a person or a
// domain.
type metrics struct {
	replies  *prometheus.CounterVec
	sessions prometheus.Gauge
}

func newMetrics() *metrics {
	return &metrics{
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "prover", Name: "replies_total",
			Help: "Mails to reply addresses by outcome: ok, or the problem.",
		}, []string{"outcome"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "prover", Name: "smtp_connections", Help: "Open SMTP connections.",
		}),
	}
}

// reply counts one mail by what became of it.
func (m *metrics) reply(p *prover.Prover, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(cmp.Or(p.Problem(err), problem.Internal))
	}
	m.replies.WithLabelValues(outcome).Inc()
}
