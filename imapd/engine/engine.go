// Package engine is the IMAP session state machine (RFC 9051 and RFC 3501, with the extensions that
// capability.go lists). It reads commands through package wire, decides, asks the mail store, and writes
// responses. One file holds one command or family.
//
// It knows no sockets, no TLS and no clock: the door (package imapd) gives it a Conn, the ways to
// log in and to open an account, and the time.
package engine

import (
	"context"
	"io"
	"time"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Conn is the connection as the door gives it to a session. Reads and writes that take too long
// return ErrTimeout.
type Conn interface {
	io.Reader
	io.Writer
	// Wait blocks until octets can be read (true) or a token came on changed (false), without
	// reading. changed may be nil.
	Wait(ctx context.Context, changed <-chan struct{}) (input bool, err error)
	// Within tells whether a command is being read or carried out, so that the door knows how long
	// the next octet may take.
	Within(command bool)
	// Secure reports whether TLS is active.
	Secure() bool
	// StartTLS does the handshake; nil where the door offers none.
	StartTLS(ctx context.Context) error
	// CanStartTLS reports whether StartTLS may be called.
	CanStartTLS() bool
	// Compress has all that is read and written after the call be compressed (RFC 4978).
	Compress()
	// Compressed reports whether Compress was called.
	Compressed() bool
}

// Identity is who has logged in.
type Identity struct {
	Account index.AccountID
	Address string
}

// SASL is the server's side of one authentication exchange (RFC 4422).
type SASL interface {
	// Next takes a response and gives the next challenge. Errors are those of Login.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Identity is who it was, after done.
	Identity() Identity
}

// Login checks who a client is. Errors: ErrBadCredentials, ErrDisabled, ErrThrottled.
type Login interface {
	// Mechanisms are the SASL mechanisms that the connection may use as it is.
	Mechanisms() []string
	// Password reports whether LOGIN may be used on the connection as it is.
	Password() bool
	Plain(ctx context.Context, user, password string) (Identity, error)
	SASL(ctx context.Context, mechanism string) (SASL, error)
}

// Peer is one connection with what belongs to it.
type Peer struct {
	Conn  Conn
	Login Login
	// Open opens the account of one who has logged in. ErrElsewhere hands the connection over to
	// another node, ErrTooMany refuses it.
	Open func(ctx context.Context, who Identity) (Account, error)
	// Leave undoes Open, so that another may log in. It is nil where that cannot be.
	Leave func()
	// Authenticated is set where another node has done the login: no greeting is sent.
	Authenticated *Identity
	// Others leads to what other accounts share; nil where nothing is shared, and there is no ACL then.
	Others Others
}

// Folders are the mailboxes of an account by name. index/mailstore says what the methods promise.
type Folders interface {
	Mailboxes(ctx context.Context) ([]index.Mailbox, error)
	Mailbox(ctx context.Context, name string) (index.Mailbox, error)
	Create(ctx context.Context, name string, use index.SpecialUse) (index.Mailbox, error)
	Delete(ctx context.Context, name string) error
	Rename(ctx context.Context, from, to string) error
	Subscribe(ctx context.Context, name string, on bool) error
}

// Metadata are the annotations of an account's mailboxes and, with an empty name, of the account (RFC 5464).
// index/mailstore says what the methods promise.
type Metadata interface {
	Metadata(ctx context.Context, user index.AccountID, name string) ([]index.Annotation, error)
	SetMetadata(ctx context.Context, c access.MetadataChange) (index.ModSeq, error)
	MetadataModSeq(ctx context.Context) (index.ModSeq, error)
	AllMetadata(ctx context.Context, user index.AccountID) ([]access.MailboxAnnotation, index.ModSeq, error)
}

// Account is the mail of one account.
type Account interface {
	Folders
	Grants
	Keys
	Open(ctx context.Context, name string) (Mailbox, error)
	NewIncoming(ctx context.Context) Incoming
	// AppendAll files messages of NewIncoming, all or none.
	AppendAll(ctx context.Context, mailbox string, messages []Incoming, o []access.AppendOptions) (access.CopyResult, error)
	Usage(ctx context.Context) (index.Usage, error)
	Metadata
	Watch() (changed <-chan struct{}, stop func())
}

// Incoming is a message on its way into a mailbox.
type Incoming interface {
	io.Writer
	// Park completes the message while others are taken in, and says how many octets it holds: it is
	// staged where that would be more than room.
	Park(room int) (held int, err error)
	Discard()
}

// Reading is what can be read of an opened mailbox.
type Reading interface {
	Info() index.Mailbox
	ACL(ctx context.Context) ([]index.Grant, error)
	View(ctx context.Context) (access.View, error)
	Changes(ctx context.Context, since index.ModSeq) (access.Changes, error)
	Vanished(ctx context.Context, since index.ModSeq) (gone *uidset.Set, complete bool, err error)
	Deleted(ctx context.Context) (*uidset.Set, error)
	Flags(ctx context.Context, uids *uidset.Set, fn func(index.UID, index.FlagState) error) error
	Messages(ctx context.Context, uids *uidset.Set, fn func(access.Message) error) error
	Bodies(ctx context.Context, uids *uidset.Set, fn func(access.Message, access.Body) error) error
	OpenBody(ctx context.Context, uid index.UID) (access.Body, error)
	// Narrow gives those of uids that may match a query, all that do among them.
	Narrow(uids *uidset.Set, q *trigram.Query) *uidset.Set
	Sift(ctx context.Context, uids *uidset.Set, passed func() error, sieve func() func(*access.Message, access.Body) error) error
}

// Mailbox is an opened mailbox.
type Mailbox interface {
	Reading
	Store(ctx context.Context, req access.StoreRequest) (access.StoreResult, error)
	Copy(ctx context.Context, uids *uidset.Set, to string) (access.CopyResult, error)
	Move(ctx context.Context, uids *uidset.Set, to string) (access.CopyResult, error)
	Expunge(ctx context.Context, uids *uidset.Set) (*uidset.Set, error)
	// Replace files a message of NewIncoming and expunges an old one, both or neither.
	Replace(ctx context.Context, old index.UID, to string, in Incoming, o access.AppendOptions) (access.CopyResult, error)
}

// Events hears of what sessions do, for metrics and logs. It is called from many sessions at once.
type Events interface {
	// Command was carried out; kind is OK, NO or BAD.
	Command(name string, kind wire.StatusKind)
	// LoggedIn tells of each try; err is nil where it succeeded.
	LoggedIn(who Identity, user string, err error)
	// Unexpected is an error that the client was told [SERVERBUG] for.
	Unexpected(name string, err error)
}

// Config is what sessions have in common.
type Config struct {
	Version    string // told by ID
	MaxMessage int64  // octets of a message that APPEND takes
	Limits     wire.Limits
	Now        func() time.Time
	Events     Events
	Site       Site // nil: no administrators, no annotations of the server
	// MessageLimit is how many messages one command works on (RFC 9738); 0 is any number.
	MessageLimit int
	// SaveLimit is how many messages one COPY or APPEND takes. Where it is not 0, nothing else is
	// limited: MessageLimit does not count then (RFC 9738, section 3).
	SaveLimit int
	// Hide are capabilities that are not told and that ENABLE passes over, as Hideable knows them. Their
	// commands are carried out nevertheless.
	Hide []string
}

// Engine makes sessions. It is safe for concurrent use.
type Engine struct {
	c        Config
	commands map[string]command
}

// New returns an Engine. All fields of c are required but Version, Site, Hide and the limits of messages.
func New(c Config) *Engine {
	if c.SaveLimit > 0 {
		c.MessageLimit = 0
	}
	if c.Site == nil {
		c.Site = noSite{}
	}
	return &Engine{c: c, commands: commands()}
}

// states is a set of session states (RFC 9051, section 3).
type states uint8

const (
	notAuthenticated states = 1 << iota
	authenticated
	selected

	anyState = notAuthenticated | authenticated | selected
	loggedIn = authenticated | selected
)

// command is how a command is carried out.
type command struct {
	in  states
	run func(s *Session, ctx context.Context, cmd *wire.Command) (reply, error)
	// expunges tells that EXPUNGE responses may come with it (RFC 9051, section 7.5.1); with UID
	// they always may.
	expunges bool
}

// commands is the table of all commands; an extension adds its lines here.
func commands() map[string]command {
	return map[string]command{
		"CAPABILITY":     {in: anyState, run: (*Session).capability, expunges: true},
		"NOOP":           {in: anyState, run: (*Session).noop, expunges: true},
		"LOGOUT":         {in: anyState, run: (*Session).logout},
		"ID":             {in: anyState, run: (*Session).id, expunges: true},
		"STARTTLS":       {in: notAuthenticated, run: (*Session).startTLS},
		"LOGIN":          {in: notAuthenticated, run: (*Session).login},
		"AUTHENTICATE":   {in: notAuthenticated, run: (*Session).authenticate},
		"UNAUTHENTICATE": {in: loggedIn, run: (*Session).unauthenticate},
		"COMPRESS":       {in: loggedIn, run: (*Session).compress},
		"ENABLE":         {in: loggedIn, run: (*Session).enable, expunges: true},
		"SELECT":         {in: loggedIn, run: (*Session).selectMailbox, expunges: true},
		"EXAMINE":        {in: loggedIn, run: (*Session).selectMailbox, expunges: true},
		"CREATE":         {in: loggedIn, run: (*Session).create, expunges: true},
		"DELETE":         {in: loggedIn, run: (*Session).delete, expunges: true},
		"RENAME":         {in: loggedIn, run: (*Session).rename, expunges: true},
		"SUBSCRIBE":      {in: loggedIn, run: (*Session).subscribe, expunges: true},
		"UNSUBSCRIBE":    {in: loggedIn, run: (*Session).subscribe, expunges: true},
		"LIST":           {in: loggedIn, run: (*Session).list, expunges: true},
		"LSUB":           {in: loggedIn, run: (*Session).lsub, expunges: true},
		"NAMESPACE":      {in: loggedIn, run: (*Session).namespace, expunges: true},
		"STATUS":         {in: loggedIn, run: (*Session).status, expunges: true},
		"APPEND":         {in: loggedIn, run: (*Session).append, expunges: true},
		"SETACL":         {in: loggedIn, run: (*Session).setACL, expunges: true},
		"DELETEACL":      {in: loggedIn, run: (*Session).setACL, expunges: true},
		"GETACL":         {in: loggedIn, run: (*Session).getACL, expunges: true},
		"LISTRIGHTS":     {in: loggedIn, run: (*Session).listRights, expunges: true},
		"MYRIGHTS":       {in: loggedIn, run: (*Session).myRights, expunges: true},
		"GENURLAUTH":     {in: loggedIn, run: (*Session).genURLAuth, expunges: true},
		"URLFETCH":       {in: loggedIn, run: (*Session).urlFetch, expunges: true},
		"RESETKEY":       {in: loggedIn, run: (*Session).resetKey, expunges: true},
		"IDLE":           {in: loggedIn, run: (*Session).idle, expunges: true},
		"GETQUOTA":       {in: loggedIn, run: (*Session).getQuota, expunges: true},
		"SETQUOTA":       {in: loggedIn, run: (*Session).setQuota, expunges: true},
		"GETQUOTAROOT":   {in: loggedIn, run: (*Session).getQuotaRoot, expunges: true},
		"GETMETADATA":    {in: loggedIn, run: (*Session).getMetadata, expunges: true},
		"SETMETADATA":    {in: loggedIn, run: (*Session).setMetadata, expunges: true},
		"UIDBATCHES":     {in: selected, run: (*Session).uidBatches},
		"CHECK":          {in: selected, run: (*Session).noop, expunges: true},
		"CLOSE":          {in: selected, run: (*Session).close},
		"UNSELECT":       {in: selected, run: (*Session).unselect},
		"EXPUNGE":        {in: selected, run: (*Session).expunge, expunges: true},
		"FETCH":          {in: selected, run: (*Session).fetch},
		"STORE":          {in: selected, run: (*Session).store},
		"SEARCH":         {in: selected, run: (*Session).search},
		"SORT":           {in: selected, run: (*Session).sort},
		"THREAD":         {in: selected, run: (*Session).thread},
		"COPY":           {in: selected, run: (*Session).copy, expunges: true},
		"MOVE":           {in: selected, run: (*Session).move, expunges: true},
		"REPLACE":        {in: selected, run: (*Session).replace, expunges: true},
		"ESEARCH":        {in: loggedIn, run: (*Session).multiSearch},
		"CANCELUPDATE":   {in: selected, run: (*Session).cancelUpdate, expunges: true},
		"NOTIFY":         {in: loggedIn, run: (*Session).notifyCommand, expunges: true},
	}
}
