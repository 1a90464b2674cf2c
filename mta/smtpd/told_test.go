package smtpd

import (
	"net/smtp"
	"testing"

	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/queue"
)

// TestTold: the story of a message begins with who brought it, by which door.
func TestTold(t *testing.T) {
	told := make(chan queue.Arrival, 1)
	addr := listen(t, newServer(new(fakeStore), func(c *Config) {
		c.Told = func(a queue.Arrival) *mailstore.Around { told <- a; return nil }
	}), MX)
	if err := smtp.SendMail(addr, nil, "carol@example.com", []string{"bob@example.org"}, []byte("Subject: hello\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-told, (queue.Arrival{ID: "Q001", Sender: "carol@example.com", Client: "mx, 127.0.0.1, localhost"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
