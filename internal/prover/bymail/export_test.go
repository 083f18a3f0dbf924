package bymail

// Recipient is a door for tests.
var Recipient = recipient
