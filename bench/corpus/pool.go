package corpus

// textPool makes lines of words of about the given octets; always the same ones.
func textPool(octets int) []byte {
	b := make([]byte, 0, octets+128)
	line := 0
	for i := uint64(0); len(b) < octets; i++ {
		// The product of two uniform draws makes some words frequent and most rare, as in language.
		r := scramble(i)
		word := words[(r%uint64(len(words)))*(r>>32%uint64(len(words)))/uint64(len(words))]
		if line+len(word) > 72 {
			b = append(b[:len(b)-1], '\r', '\n')
			line = 0
		}
		b = append(append(b, word...), ' ')
		line += len(word) + 1
	}
	return append(b[:len(b)-1], '\r', '\n')
}

// base64Pool makes lines of 76 characters that do not compress beyond their encoding.
func base64Pool(octets int) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b := make([]byte, 0, octets+80)
	for i := uint64(1 << 40); len(b) < octets; {
		for range 76 {
			b = append(b, alphabet[scramble(i)&63])
			i++
		}
		b = append(b, '\r', '\n')
	}
	return b
}

var subjects = [...]string{"about the minutes of Monday", "Re: room for the seminar", "invoice for the travel to the meeting",
	"thesis of a student, second draft", "your question about the grant", "Fwd: deadline of the report", "lunch", "schedule for next week"}

var words = [...]string{"the", "of", "and", "to", "a", "in", "is", "for", "that", "we", "on", "with", "be", "this", "it", "are", "as", "at", "by", "not",
	"mail", "institution", "meetings", "rooms", "dates", "papers", "students", "budgets", "weather", "forwarded", "times", "earlier", "quoted", "below",
	"please", "find", "attached", "regards", "minutes", "agenda", "schedule", "deadline", "review", "draft", "version", "final", "update", "question",
	"answer", "thanks", "invoice", "travel", "seminar", "lecture", "thesis", "committee", "proposal", "grant", "report", "would", "could", "should",
	"tomorrow", "yesterday", "monday", "tuesday", "thursday", "laboratory", "measurement", "library", "catalogue", "contract", "office", "secretary",
	"colleague", "visitor", "guest", "programme", "conference", "registration", "hotel", "train", "flight", "receipt", "signature", "form", "faculty",
	"department", "semester", "exam", "grade", "course", "exercise", "solution", "figure", "table", "chapter", "appendix", "reference", "journal",
	"editor", "referee", "revision", "manuscript", "project", "partner", "milestone", "deliverable", "server", "network", "password", "account",
	"maintenance", "window", "printer", "projector", "keyboard", "laptop", "backup", "storage", "archive", "holiday", "vacation", "illness", "doctor",
	"appointment", "birthday", "present", "cake", "coffee", "kitchen", "corridor", "building", "entrance", "parking", "bicycle", "garden", "summer"}
