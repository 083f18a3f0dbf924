package fetch

// Doors for tests.
var (
	Public = public
	Fresh  = fresh
)
