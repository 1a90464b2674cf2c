package node

import (
	"context"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dispatch"
	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/reporter"
)

// mailRecords are the directory's records of mail, as packages of mta know them.
type mailRecords struct{ n *Node }

var (
	_ dispatch.Directory  = mailRecords{}
	_ reporter.Directory  = mailRecords{}
	_ reportbox.Directory = mailRecords{}
)

func (s mailRecords) View(read func(directory.View) error) error { return s.n.view(read) }

func (s mailRecords) Put(ctx context.Context, changes ...directory.MailChange) error {
	return s.n.putMail(ctx, changes...)
}

// putMail changes records of mail, all or none.
func (n *Node) putMail(ctx context.Context, changes ...directory.MailChange) error {
	c, err := directory.PutMail(changes...)
	return n.change(ctx, c, err)
}

// sendingRecord reads a record of mail.
func (n *Node) mailRecord(kind directory.MailKind, name string) (r *directorypb.MailRecord, err error) {
	err = n.view(func(v directory.View) (err error) {
		r, err = v.MailRecord(kind, name)
		return err
	})
	return r, err
}

// sending lists the records of a kind whose names begin with prefix.
func (n *Node) mailRecordsOf(kind directory.MailKind, prefix string) (list []*directorypb.MailRecord, err error) {
	err = n.view(func(v directory.View) error {
		return v.EachMailRecord(kind, prefix, func(r *directorypb.MailRecord) error {
			list = append(list, r)
			return nil
		})
	})
	return list, err
}

// removeMail removes a record of mail that is there.
func (n *Node) removeMail(ctx context.Context, kind directory.MailKind, name string) error {
	r, err := n.mailRecord(kind, name)
	if err != nil {
		return err
	}
	return n.putMail(ctx, directory.MailChange{Record: r, Remove: true})
}
