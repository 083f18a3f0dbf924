//go:build race

package attack_test

// raced: the race detector makes everything ten times slower, and finds as much in
// one coalition as in a thousand.
const raced = true
