package guest

// ZoneOffset is for tests.
var ZoneOffset = zoneOffset
