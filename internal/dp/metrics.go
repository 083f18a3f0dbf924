package dp

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/dp/directory"
	"whither/internal/endpoint"
	"whither/registry/update"
)

// metrics of a DP: counts only, nothing of a person.
type metrics struct {
	answers  *endpoint.Metrics
	due      *prometheus.CounterVec
	registry prometheus.GaugeFunc
}

func newMetrics(source *update.Source, now func() time.Time) *metrics {
	return &metrics{
		answers: endpoint.NewMetrics("dp"),
		due: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: "dp", Name: "due_work_total", Help: "Mappings renewed, not renewed, and swept.",
		}, []string{"what"}),
		registry: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "whither", Subsystem: "dp", Name: "registry_seconds_left", Help: "Seconds until the registry expires.",
		}, func() float64 { return source.Snapshot().Expires().Sub(now()).Seconds() }),
	}
}

func (m *metrics) work(w directory.Work) {
	m.due.WithLabelValues("renewed").Add(float64(w.Renewed))
	m.due.WithLabelValues("not_renewed").Add(float64(w.Refused))
	m.due.WithLabelValues("swept").Add(float64(w.Swept))
}

func (m *metrics) collectors() []prometheus.Collector {
	return append(m.answers.Metrics(), m.due, m.registry)
}
