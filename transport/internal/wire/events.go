package wire

// AppendEvent appends a server-sent event. Its id is the cursor of the event; an empty one is
// left out. The data is one line.
func AppendEvent(b []byte, id, kind string, data []byte) []byte {
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	b = append(append(b, "event: "...), kind...)
	b = append(append(b, "\ndata: "...), data...)
	return append(b, "\n\n"...)
}

// AppendGap appends the event that tells a client that events it has not seen were pruned.
// It goes on with those after oldest.
func AppendGap(b []byte, oldest string) []byte {
	return append(b, "id: "+oldest+"\nevent: gap\ndata: {\"oldest\":\""+oldest+"\"}\n\n"...)
}

// AppendHeartbeat appends a comment, and the cursor with which the client can come back.
func AppendHeartbeat(b []byte, cursor string) []byte {
	return append(b, ":\nid: "+cursor+"\n\n"...)
}
