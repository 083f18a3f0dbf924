//go:build !race

package attack_test

// raced: every coalition is tried.
const raced = false
