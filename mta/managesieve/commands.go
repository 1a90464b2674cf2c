package managesieve

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/managesieve/wire"
	"github.com/rookery-mail/rookery/mta/script"
	"github.com/rookery-mail/rookery/mta/sieve"
)

// command answers a command. An error ends the connection.
func (c *conn) command(ctx context.Context, cmd wire.Command) error {
	switch cmd.Name {
	case "LOGOUT":
		_ = c.ok("", "Goodbye") // it ends in any case
		return errEnd
	case "CAPABILITY":
		return c.write(c.capabilities(nil))
	case "NOOP":
		return c.noop(cmd)
	case "STARTTLS":
		return c.startTLS(ctx)
	case "AUTHENTICATE":
		return c.authenticate(cmd)
	}
	if c.who == nil {
		return c.wrong("Log in first")
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Store)
	defer cancel()
	a := c.who.Account
	switch cmd.Name {
	case "UNAUTHENTICATE":
		c.srv.c.Logger.Info("logged out", "kind", "managesieve", "login", c.who.Address)
		c.who = nil
		return c.ok("", "")
	case "LISTSCRIPTS":
		return c.list(ctx, a, cmd)
	case "HAVESPACE":
		return c.haveSpace(ctx, a, cmd)
	case "PUTSCRIPT":
		return c.put(ctx, a, cmd)
	case "CHECKSCRIPT":
		if !texts(cmd, 1) {
			return c.wrong("Syntax: CHECKSCRIPT script")
		}
		return c.done(c.srv.c.Check([]byte(cmd.Args[0].Text)))
	case "GETSCRIPT":
		return c.get(ctx, a, cmd)
	case "SETACTIVE":
		if !texts(cmd, 1) {
			return c.wrong("Syntax: SETACTIVE name")
		}
		return c.done(c.srv.c.Store.Activate(ctx, a, cmd.Args[0].Text))
	case "DELETESCRIPT":
		if !texts(cmd, 1) {
			return c.wrong("Syntax: DELETESCRIPT name")
		}
		return c.done(c.srv.c.Store.Delete(ctx, a, cmd.Args[0].Text))
	case "RENAMESCRIPT":
		if !texts(cmd, 2) {
			return c.wrong("Syntax: RENAMESCRIPT old new")
		}
		return c.done(c.srv.c.Store.Rename(ctx, a, cmd.Args[0].Text, cmd.Args[1].Text))
	}
	return c.wrong("No such command")
}

// texts reports whether a command has so many strings and nothing else.
func texts(cmd wire.Command, n int) bool {
	return len(cmd.Args) == n && !slices.ContainsFunc(cmd.Args, func(a wire.Arg) bool { return a.Number })
}

// done answers a change of scripts (RFC 5804, section 1.3).
func (c *conn) done(err error) error {
	var wrong *sieve.Error
	switch {
	case err == nil:
		return c.ok("", "")
	case errors.Is(err, script.ErrNoScript):
		return c.no("NONEXISTENT", "There is no such script")
	case errors.Is(err, script.ErrExists):
		return c.no("ALREADYEXISTS", "There is a script of that name")
	case errors.Is(err, script.ErrActive):
		return c.no("ACTIVE", "The script is active")
	case errors.Is(err, script.ErrTooMany):
		return c.no("QUOTA/MAXSCRIPTS", "There are too many scripts")
	case errors.Is(err, script.ErrTooLarge):
		return c.no("QUOTA", "The scripts are too large")
	case errors.Is(err, script.ErrName), errors.Is(err, script.ErrInvalid):
		return c.wrong("This is not a name of a script")
	case errors.As(err, &wrong):
		return c.no("", wrong.Error())
	}
	c.srv.c.Logger.Warn("scripts cannot be changed or read", "login", c.who.Address, "error", err)
	return c.no("TRYLATER", "This cannot be done now, try again later")
}

func (c *conn) noop(cmd wire.Command) error {
	switch {
	case len(cmd.Args) == 0:
		return c.ok("", "Done")
	case texts(cmd, 1):
		return c.ok("TAG "+string(wire.AppendString(nil, cmd.Args[0].Text)), "Done")
	}
	return c.wrong("Syntax: NOOP [tag]")
}

func (c *conn) list(ctx context.Context, a index.AccountID, cmd wire.Command) error {
	if len(cmd.Args) != 0 {
		return c.wrong("Syntax: LISTSCRIPTS")
	}
	list, err := c.srv.c.Store.List(ctx, a)
	if err != nil {
		return c.done(err)
	}
	var b []byte
	for _, s := range list {
		b = wire.AppendString(b, s.Name)
		if s.Active {
			b = append(b, " ACTIVE"...)
		}
		b = append(b, "\r\n"...)
	}
	return c.write(wire.AppendResponse(b, "OK", "", ""))
}

func (c *conn) get(ctx context.Context, a index.AccountID, cmd wire.Command) error {
	if !texts(cmd, 1) {
		return c.wrong("Syntax: GETSCRIPT name")
	}
	s, err := c.srv.c.Store.Load(ctx, a, cmd.Args[0].Text)
	if err != nil {
		return c.done(err)
	}
	b := append(strconv.AppendInt([]byte{'{'}, int64(len(s.Text)), 10), "}\r\n"...)
	b = append(append(b, s.Text...), "\r\n"...)
	return c.write(wire.AppendResponse(b, "OK", "", ""))
}

// haveSpace says whether a script would be taken (RFC 5804, section 2.5).
func (c *conn) haveSpace(ctx context.Context, a index.AccountID, cmd wire.Command) error {
	if len(cmd.Args) != 2 || cmd.Args[0].Number || !cmd.Args[1].Number {
		return c.wrong("Syntax: HAVESPACE name size")
	}
	if err := script.CheckName(cmd.Args[0].Text); err != nil {
		return c.done(err)
	}
	size, err := strconv.ParseInt(cmd.Args[1].Text, 10, 64)
	if err != nil || size > c.srv.c.MaxScript {
		return c.no("QUOTA/MAXSIZE", "The script is too large")
	}
	list, err := c.srv.c.Store.List(ctx, a)
	if err != nil {
		return c.done(err)
	}
	has := slices.ContainsFunc(list, func(s script.Script) bool { return s.Name == cmd.Args[0].Text })
	if !has && len(list) >= script.MaxScripts {
		return c.done(script.ErrTooMany)
	}
	return c.ok("", "")
}

func (c *conn) put(ctx context.Context, a index.AccountID, cmd wire.Command) error {
	if !texts(cmd, 2) {
		return c.wrong("Syntax: PUTSCRIPT name script")
	}
	if err := script.CheckName(cmd.Args[0].Text); err != nil {
		return c.done(err)
	}
	text := []byte(cmd.Args[1].Text)
	if err := c.srv.c.Check(text); err != nil {
		return c.done(err)
	}
	return c.done(c.srv.c.Store.Put(ctx, a, cmd.Args[0].Text, text, false))
}

// authenticate answers AUTHENTICATE (RFC 5804, section 2.1).
func (c *conn) authenticate(cmd wire.Command) error {
	if n := len(cmd.Args); n == 0 || n > 2 || !texts(cmd, n) {
		return c.wrong("Syntax: AUTHENTICATE mechanism [initial-response]")
	}
	mechanism := strings.ToUpper(cmd.Args[0].Text)
	switch {
	case c.who != nil:
		return c.wrong("Logged in already")
	case !c.secure && c.srv.c.TLS != nil:
		return c.no("ENCRYPT-NEEDED", "STARTTLS first")
	case !slices.Contains(c.mechanisms(), mechanism):
		return c.wrong("The mechanism is not offered")
	}
	x, err := c.srv.c.Auth.Begin(mechanism, c.loginConn())
	if err != nil {
		return c.failed(err)
	}
	var response []byte
	if len(cmd.Args) == 2 {
		if response, err = decode(cmd.Args[1].Text); err != nil {
			return c.wrong("Not base64")
		}
	}
	for {
		challenge, done, err := x.Next(response)
		if err != nil {
			return c.failed(err)
		}
		if done {
			break
		}
		if err := c.write(append(wire.AppendString(nil, base64.StdEncoding.EncodeToString(challenge)), "\r\n"...)); err != nil {
			return err
		}
		list, err := c.r.Strings()
		if err != nil {
			return c.unreadable(err)
		}
		if len(list) != 1 || list[0].Text == "*" {
			return c.no("", "The login was given up")
		}
		if response, err = decode(list[0].Text); err != nil {
			return c.wrong("Not base64")
		}
	}
	who := x.Identity()
	c.who = &who
	c.srv.c.Logger.Info("logged in", "kind", "managesieve", "login", who.Address, "remote", c.remote, "mechanism", mechanism)
	return c.ok("", "Welcome")
}

func decode(s string) ([]byte, error) {
	if s == "" || s == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// failed answers a login that failed, and ends the connection after too many.
func (c *conn) failed(err error) error {
	c.srv.c.Logger.Info("login failed", "kind", "managesieve", "remote", c.remote, "error", err)
	code, text := "TRYLATER", "You cannot log in now, try again later"
	switch {
	case errors.Is(err, login.ErrBadCredentials), errors.Is(err, login.ErrAuthorization), errors.Is(err, login.ErrMalformed), errors.Is(err, login.ErrChannelBinding):
		code, text = "", "Wrong user name or password"
	case errors.Is(err, login.ErrDisabled):
		code, text = "", "This account is disabled"
	case errors.Is(err, login.ErrEncryption):
		code, text = "ENCRYPT-NEEDED", "STARTTLS first"
	}
	if c.failures++; exceeds(c.failures, c.srv.c.Limits.AuthFailures-1) && c.srv.c.Limits.AuthFailures > 0 {
		return c.bye(code, text)
	}
	return c.no(code, text)
}
