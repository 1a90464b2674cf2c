package engine

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/cluster"
	replicated "github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/imapd/view"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// Errors between a session and its door; test with errors.Is.
var (
	// ErrBadCredentials says that name and password do not go together.
	ErrBadCredentials = errors.New("name or password is wrong")
	// ErrDisabled says that the account may not log in.
	ErrDisabled = errors.New("account is disabled")
	// ErrThrottled says that too many logins failed; it is temporary.
	ErrThrottled = errors.New("too many failed logins, try later")
	// ErrNoMechanism says that a SASL mechanism is not offered.
	ErrNoMechanism = errors.New("mechanism is not offered")
	// ErrNoIssuer says that a token cannot be checked now; it is temporary.
	ErrNoIssuer = errors.New("tokens cannot be checked now, try again later")
	// ErrTooMany says that the account has as many connections as it may have.
	ErrTooMany = errors.New("too many connections of this account")
	// ErrElsewhere says that another node serves the account: the connection is handed over.
	ErrElsewhere = errors.New("served by another node")
	// ErrTimeout says that the client was silent, or did not read, for too long.
	ErrTimeout = errors.New("idle for too long")

	// errInboxRenamed: what was selected is another mailbox now, and INBOX a new one.
	errInboxRenamed   = errors.New("INBOX was renamed, connect again")
	errTooManyErrors  = errors.New("too many wrong commands")
	errTooManyLogins  = errors.New("too many failed logins")
	errBuffered       = errors.New("octets came after STARTTLS")
	errUncompressed   = errors.New("octets came after COMPRESS")
	errCancelled      = errors.New("authentication was given up")
	errNotBase64      = errors.New("not base64")
	errReadOnly       = errors.New("mailbox is read-only")
	errTryCreate      = errors.New("no such mailbox, create it first")
	errCharset        = errors.New("charset is not known")
	errSpecialUse     = errors.New("special use is not supported")
	errFlag           = errors.New("not a flag that can be stored")
	errUnknownCTE     = errors.New("a part's encoding is not known")
	errEmptyAppend    = errors.New("a message of no octets is none")
	errTooManyAppends = errors.New("too many messages in one APPEND")
	errNoSuchUID      = errors.New("no message of that UID")
	errBadEvent       = errors.New("an event is not known")
	errOverflow       = errors.New("too many mailboxes to tell of")
	errTooManyBoxes   = errors.New("too many mailboxes at once")
	errNoPerm         = errors.New("the owner of the mailbox does not let you do that")
	errNoIdentifier   = errors.New("an identifier is an address, or anyone")
	errNotifyOthers   = errors.New("NOTIFY tells of your own mailboxes, and of another's while it is selected")
	errNoPrivate      = errors.New("no private entries of mailboxes that others share")
	errNegative       = errors.New("negative rights are not supported")
	errAcross         = errors.New("not from one account to another")
	errMechanism      = errors.New("INTERNAL is the mechanism that there is")
	errSharedKey      = errors.New("only URLs of your own mailboxes are signed")
	errRevoked        = errors.New("you may not read the selected mailbox any more")
	errExpunged       = errors.New("some of the messages were expunged")
	errNoPermission   = errors.New("only administrators may do this")
	errResource       = errors.New("limits are of STORAGE and MESSAGE, and not 0")
	errMixedMetadata  = errors.New("set the server's shared entries and your private ones one after the other")
)

// reply is a tagged response; the zero reply is "OK … completed".
type reply struct {
	kind wire.StatusKind
	code string
	text string
}

// codeServerBug goes with errors that nobody thought of.
const codeServerBug = "SERVERBUG"

func ok(code, text string) reply { return reply{kind: wire.OK, code: code, text: text} }
func bad(text string) reply      { return reply{kind: wire.BAD, text: text} }

// replyTo is the one place that knows which error is which response (RFC 9051, section 7.1; RFC 5530).
// It is not ok where the session has to end.
func replyTo(err error) (reply, bool) {
	refuse := func(code, text string) (reply, bool) { return reply{kind: wire.NO, code: code, text: text}, true }
	if e, bad := errors.AsType[*urlError](err); bad {
		return refuse(e.code(), "the URL leads to nothing")
	}
	if e, bad := errors.AsType[*limitError](err); bad {
		return refuse(e.code(), e.Error())
	}
	switch {
	case isFatal(err):
		return reply{}, false
	case errors.Is(err, view.ErrNoSuchNumber):
		return bad(view.ErrNoSuchNumber.Error()), true
	case errors.Is(err, errTryCreate):
		return refuse("TRYCREATE", errTryCreate.Error())
	case errors.Is(err, index.ErrNoMailbox):
		return refuse("NONEXISTENT", "no such mailbox")
	case errors.Is(err, index.ErrMailboxExists):
		return refuse("ALREADYEXISTS", "mailbox exists already")
	case errors.Is(err, index.ErrHasChildren):
		return refuse("HASCHILDREN", "mailbox has children")
	case errors.Is(err, index.ErrInvalidName):
		return refuse("CANNOT", "not a name that a mailbox can have")
	case errors.Is(err, index.ErrOverQuota):
		return refuse("OVERQUOTA", "over quota")
	case errors.Is(err, index.ErrTooManyKeywords):
		return refuse("LIMIT", "too many keywords in this mailbox")
	case errors.Is(err, index.ErrTooLarge):
		return refuse("TOOBIG", "message is larger than allowed")
	case errors.Is(err, errNoSuchUID):
		return refuse("NONEXISTENT", errNoSuchUID.Error())
	case errors.Is(err, index.ErrNoMessage), errors.Is(err, errExpunged):
		return refuse("EXPUNGEISSUED", errExpunged.Error())
	case errors.Is(err, errNoPerm):
		return refuse("NOPERM", errNoPerm.Error())
	case errors.Is(err, errOwner):
		return refuse("CANNOT", errOwner.Error())
	case errors.Is(err, errAcross):
		return refuse("CANNOT", errAcross.Error())
	case errors.Is(err, errNegative):
		return refuse("CANNOT", errNegative.Error())
	case errors.Is(err, errNotifyOthers):
		return refuse("CANNOT", errNotifyOthers.Error())
	case errors.Is(err, errNoPrivate):
		return refuse("METADATA NOPRIVATE", errNoPrivate.Error())
	case errors.Is(err, errNoIdentifier):
		return bad(errNoIdentifier.Error()), true
	case errors.Is(err, index.ErrNoAccount):
		return refuse("CANNOT", "there is no account of that address")
	case errors.Is(err, index.ErrTooManyGrants):
		return refuse("LIMIT", index.ErrTooManyGrants.Error())
	case errors.Is(err, errMechanism):
		return refuse("CANNOT", errMechanism.Error())
	case errors.Is(err, errSharedKey):
		return refuse("CANNOT", errSharedKey.Error())
	case errors.Is(err, replicated.ErrTooEarly):
		return refuse("UNAVAILABLE", replicated.ErrTooEarly.Error())
	case errors.Is(err, index.ErrBodyAway):
		return refuse("UNAVAILABLE", index.ErrBodyAway.Error()+", try again later")
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return refuse("UNAVAILABLE", "no majority of the replicas answers, try again later")
	case errors.Is(err, index.ErrStagingFull):
		return refuse("UNAVAILABLE", "too much mail waits for the object store, try again later")
	case errors.Is(err, cluster.ErrStorageFull):
		return refuse("UNAVAILABLE", "no room on the disk, try again later")
	case errors.Is(err, errReadOnly):
		return refuse("READ-ONLY", errReadOnly.Error())
	case errors.Is(err, errCharset):
		return refuse("BADCHARSET (US-ASCII UTF-8)", errCharset.Error())
	case errors.Is(err, errSpecialUse):
		return refuse("USEATTR", errSpecialUse.Error())
	case errors.Is(err, errFlag):
		return refuse("CANNOT", errFlag.Error())
	case errors.Is(err, errEmptyAppend):
		return refuse("CANNOT", errEmptyAppend.Error())
	case errors.Is(err, errTooManyBoxes):
		return refuse("LIMIT", errTooManyBoxes.Error())
	case errors.Is(err, errTooManyAppends):
		return refuse("LIMIT", errTooManyAppends.Error())
	case errors.Is(err, errBadEvent): // with those that are (RFC 5465, section 3.1)
		return refuse("BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)", errBadEvent.Error())
	case errors.Is(err, errOverflow):
		return refuse("NOTIFICATIONOVERFLOW", errOverflow.Error())
	case errors.Is(err, errNoPermission):
		return refuse("NOPERM", errNoPermission.Error())
	case errors.Is(err, errResource):
		return refuse("CANNOT", errResource.Error())
	case errors.Is(err, errMixedMetadata):
		return refuse("CANNOT", errMixedMetadata.Error())
	case errors.Is(err, index.ErrTooManyAnnotations):
		return refuse("METADATA TOOMANY", "as many entries as there may be")
	case errors.Is(err, errUnknownCTE):
		return refuse("UNKNOWN-CTE", errUnknownCTE.Error())
	case isLogin(err):
		return replyToLogin(err), true
	}
	return refuse(codeServerBug, "something went wrong that should not")
}

// isFatal reports whether a session cannot go on after err.
func isFatal(err error) bool {
	for _, fatal := range []error{
		index.ErrGone, cluster.ErrNoReplica, cluster.ErrStopped, context.Canceled, ErrElsewhere, ErrTimeout,
		wire.ErrOutOfSync, errTooManyErrors, errTooManyLogins, errBuffered, errUncompressed,
		errInboxRenamed, errRevoked,
	} {
		if errors.Is(err, fatal) {
			return true
		}
	}
	_, broken := errors.AsType[*connError](err)
	return broken
}

// connError marks errors of the connection inside a handler.
type connError struct{ err error }

func (e *connError) Error() string { return "use the connection: " + e.err.Error() }
func (e *connError) Unwrap() error { return e.err }

// broken marks an error of the connection; nil stays nil.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return &connError{err}
}

func isLogin(err error) bool {
	for _, e := range []error{ErrBadCredentials, ErrDisabled, ErrThrottled, ErrNoMechanism, ErrNoIssuer, ErrTooMany, errCancelled, errNotBase64} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func replyToLogin(err error) reply {
	refuse := func(code string, e error) reply { return reply{kind: wire.NO, code: code, text: e.Error()} }
	switch {
	case errors.Is(err, ErrDisabled):
		return refuse("AUTHORIZATIONFAILED", ErrDisabled)
	case errors.Is(err, ErrThrottled):
		return refuse("UNAVAILABLE", ErrThrottled)
	case errors.Is(err, ErrNoIssuer):
		return refuse("UNAVAILABLE", ErrNoIssuer)
	case errors.Is(err, ErrTooMany):
		return refuse("LIMIT", ErrTooMany)
	case errors.Is(err, ErrNoMechanism):
		return refuse("CANNOT", ErrNoMechanism)
	case errors.Is(err, errCancelled):
		return bad(errCancelled.Error())
	case errors.Is(err, errNotBase64):
		return bad(errNotBase64.Error())
	}
	return refuse("AUTHENTICATIONFAILED", ErrBadCredentials)
}

// byeText says why a connection ends.
func byeText(err error) (code, text string) {
	switch {
	case errors.Is(err, index.ErrGone):
		return "", "the selected mailbox was deleted"
	case errors.Is(err, cluster.ErrNoReplica):
		return "UNAVAILABLE", "the account has moved to other nodes, connect again"
	case errors.Is(err, cluster.ErrStopped):
		return "UNAVAILABLE", "server is shutting down"
	case errors.Is(err, errInboxRenamed):
		return "", errInboxRenamed.Error()
	case errors.Is(err, errRevoked):
		return "NOPERM", errRevoked.Error()
	case errors.Is(err, ErrTooMany): // the node that did the login has said OK to it
		return "LIMIT", ErrTooMany.Error()
	case errors.Is(err, ErrTimeout):
		return "", ErrTimeout.Error()
	case errors.Is(err, wire.ErrOutOfSync):
		return "TOOBIG", "cannot go on after such a large literal"
	case errors.Is(err, errTooManyErrors):
		return "", errTooManyErrors.Error()
	case errors.Is(err, errTooManyLogins):
		return "", errTooManyLogins.Error()
	case errors.Is(err, errBuffered):
		return "", "commands must not be sent before TLS is active"
	case errors.Is(err, errUncompressed):
		return "", "commands must not be sent before COMPRESS is answered"
	}
	return "", "the connection cannot go on"
}
