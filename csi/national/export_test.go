package national

// Zeros lists the zero of each script that is read.
const Zeros = zeros
