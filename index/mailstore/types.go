package mailstore

import "github.com/rookery-mail/rookery/index/access"

// The words of this package's methods are those of index/access: the deciding code of servers
// (imapd/engine, a core) needs them too and may not import a shell. Message lives there as well.
type (
	Target        = access.Target
	Delivery      = access.Delivery
	Outcome       = access.Outcome
	Also          = access.Also
	Around        = access.Around
	AppendOptions = access.AppendOptions
	View          = access.View
	Changes       = access.Changes
	FlagOp        = access.FlagOp
	StoreRequest  = access.StoreRequest
	StoreResult   = access.StoreResult
	CopyResult    = access.CopyResult
	Body          = access.Body
	Message       = access.Message

	MetadataChange    = access.MetadataChange
	MailboxAnnotation = access.MailboxAnnotation
)

// The ways of STORE.
const (
	Set    = access.Set
	Add    = access.Add
	Remove = access.Remove
)
