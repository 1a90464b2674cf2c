package queue

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Submission is a message for recipients that the queue delivers to.
type Submission struct {
	Account    index.AccountID // whose it is; reports go there
	ID         mta.ID
	Envelope   mta.Envelope // without recipients
	Recipients []mta.Recipient
	Expires    time.Time
	Notice     time.Time // when a delay is told; zero is never
	// Forward says that the message came from elsewhere: its sender is not the account, and hears of it through the queue.
	Forward bool
	// Counts says that the account's own doing it is, which its brakes bound.
	Counts bool
	Brakes *queuepb.Brakes // of an account whose doing counts; nil: none
	// DedupKey is under what a second one is found out, 16 octets; nil: by message, sender and recipients.
	DedupKey []byte
}

// Also queues s in the step that delivers the message to accounts of the same partition, and fails with an OverError where brakes hold against it. A submission of the same
// message by the same account to the same recipients within mailbox.DedupWindow is queued once.
func (s Submission) Also() *access.Also {
	return &access.Also{
		Account: s.Account,
		Wrap: func(_ command.Kind, p access.Payload, id string) (command.Kind, access.Payload) {
			cmd := submitOf(p)
			switch e := s.Entry(cmd.Deliver.Summary.ContentHash, id); {
			case cmd.Entry == nil:
				cmd.Entry = e
			case e.Brakes != nil: // it comes first
				cmd.Entry, cmd.Entries = e, append(cmd.Entries, cmd.Entry)
			default:
				cmd.Entries = append(cmd.Entries, e)
			}
			return command.Submit, cmd
		},
		Unwrap: mailOf,
	}
}

// submitOf is p as a submission: what delivers alone becomes one.
func submitOf(p access.Payload) *queuepb.SubmitCommand {
	if cmd, ok := p.(*queuepb.SubmitCommand); ok {
		return cmd
	}
	return &queuepb.SubmitCommand{Deliver: p.(*indexpb.DeliverCommand)}
}

// mailOf reads the delivery's part of an encoded result: OverError.
func mailOf(result []byte) (*indexpb.Result, error) {
	res := new(queuepb.Result)
	if err := res.UnmarshalVT(result); err != nil {
		return nil, err
	}
	if res.Refusal != nil {
		return nil, overError(res.Refusal)
	}
	if res.Mail == nil {
		return nil, fmt.Errorf("a result without one of the delivery: %w", ErrCorrupt)
	}
	return res.Mail, nil
}

// Entry is what is queued of s: of a message with a content hash and a Message-ID.
func (s Submission) Entry(content []byte, messageID string) *queuepb.NewEntry {
	e := &queuepb.NewEntry{
		Account: uint64(s.Account), Sender: s.Envelope.From, Expires: s.Expires.UnixMilli(),
		Envid: s.Envelope.EnvID, Ret: uint32(s.Envelope.Return),
		EightBit: s.Envelope.Body == mta.Body8Bit, Utf8: s.Envelope.UTF8, RequireTls: s.Envelope.RequireTLS, TlsOptional: s.Envelope.TLSOptional,
		Priority: int32(s.Envelope.Priority), Forward: s.Forward, Brakes: s.Brakes,
		Id: string(s.ID), MessageId: clip(messageID), DedupKey: s.dedupKey(content, messageID),
	}
	if !s.Notice.IsZero() {
		e.Notice = s.Notice.UnixMilli()
	}
	deliverBy(e, s.Envelope.By)
	var due int64
	if !s.Envelope.Release.IsZero() {
		due = s.Envelope.Release.UnixMilli()
	}
	for _, r := range s.Recipients {
		to := &queuepb.NewRecipient{Address: r.Address, Orcpt: r.ORCPT, Notify: uint32(r.Notify), Destination: DestinationOf(r.Address), Due: due}
		if to.Account = r.Owed.Account; to.Account != 0 {
			to.DedupKey = access.DedupKey(messageID, r.Address, content)
		}
		e.Recipients = append(e.Recipients, to)
	}
	return e
}

// deliverBy has an entry returned, or its sender told, at the time that was asked for (RFC 2852, section 4).
func deliverBy(e *queuepb.NewEntry, by mta.By) {
	if by.Mode == "" {
		return
	}
	e.DeliverBy, e.DeliverByMode = by.Time.UnixMilli(), by.Word()
	if by.Mode == mta.ByReturn {
		e.Expires = min(e.Expires, e.DeliverBy)
	} else {
		e.Notice = e.DeliverBy
	}
}

// EnvelopeOf is the envelope of an entry, without recipients. Size is that of the stored message.
func EnvelopeOf(e *queuepb.EntryRecord) mta.Envelope {
	env := mta.Envelope{From: e.Sender, Size: int64(e.Size), UTF8: e.Utf8, Return: mta.Return(e.Ret), EnvID: e.Envid,
		By: mta.ByStored(time.UnixMilli(e.DeliverBy), e.DeliverByMode), Priority: int(e.Priority), RequireTLS: e.RequireTls, TLSOptional: e.TlsOptional}
	if e.EightBit {
		env.Body = mta.Body8Bit
	}
	return env
}

// DestinationOf is the domain of an address, in lower case.
func DestinationOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

func (s Submission) dedupKey(content []byte, messageID string) []byte {
	if s.DedupKey != nil {
		return s.DedupKey
	}
	h := sha256.New()
	to := make([]string, 0, len(s.Recipients))
	for _, r := range s.Recipients {
		name := r.Address
		if r.Owed.Account != 0 {
			name += fmt.Sprintf(" %d", r.Owed.Account)
		}
		to = append(to, name)
	}
	slices.Sort(to)
	fmt.Fprintf(h, "queue\x00%s\x00%s\x00%s\x00", messageID, s.Envelope.From, strings.Join(to, "\x00"))
	h.Write(content)
	return h.Sum(nil)[:keys.DedupKeySize]
}

func clip(s string) string { return clipTo(s, maxText) }

func clipTo(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}
