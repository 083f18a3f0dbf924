package observer

import "net/http"

// Handler answers without a socket.
func (o *Observer) Handler() http.Handler { return o.handler }

// Choose is what goes into a list.
var Choose = (*Observer).choose
