package command

import "fmt"

// The kinds of commands. A new kind gets the next free number of its block and the version it came
// in; it is proposed only once every member of the cluster understands it.
//
// 0x01xx directory (cluster/directory), 0x02xx mailboxes (index/mailbox), 0x03xx bodies
// (index/staging).
const (
	PutDomain         Kind = 0x0101
	DeleteDomain      Kind = 0x0102
	PutAccount        Kind = 0x0103
	DeleteAccount     Kind = 0x0104
	PutAlias          Kind = 0x0105
	DeleteAlias       Kind = 0x0106
	PutSetting        Kind = 0x0107
	RegisterNode      Kind = 0x0108
	UpdateNode        Kind = 0x0109
	RemoveNode        Kind = 0x010a
	PutToken          Kind = 0x010b
	RedeemToken       Kind = 0x010c
	DeleteToken       Kind = 0x010d
	PutPartitionMap   Kind = 0x010e
	InitialiseCluster Kind = 0x010f

	Deliver        Kind = 0x0201
	Append         Kind = 0x0202
	CreateMailbox  Kind = 0x0203
	DeleteMailbox  Kind = 0x0204
	RenameMailbox  Kind = 0x0205
	Subscribe      Kind = 0x0206
	StoreFlags     Kind = 0x0207
	Copy           Kind = 0x0208
	Move           Kind = 0x0209
	Expunge        Kind = 0x020a
	DropAccount    Kind = 0x020b
	DrainGraveyard Kind = 0x020c

	StageChunk  Kind = 0x0301
	DropUploads Kind = 0x0302
)

// Info describes one kind in the table.
type Info struct {
	Name  string
	Since string // the version of Rookery that first executed it
}

// Describe returns the table's row of k, or ok false for a number that is not in it.
func Describe(k Kind) (info Info, ok bool) {
	switch k {
	case PutDomain:
		return Info{"PutDomain", "0.1"}, true
	case DeleteDomain:
		return Info{"DeleteDomain", "0.1"}, true
	case PutAccount:
		return Info{"PutAccount", "0.1"}, true
	case DeleteAccount:
		return Info{"DeleteAccount", "0.1"}, true
	case PutAlias:
		return Info{"PutAlias", "0.1"}, true
	case DeleteAlias:
		return Info{"DeleteAlias", "0.1"}, true
	case PutSetting:
		return Info{"PutSetting", "0.1"}, true
	case RegisterNode:
		return Info{"RegisterNode", "0.1"}, true
	case UpdateNode:
		return Info{"UpdateNode", "0.1"}, true
	case RemoveNode:
		return Info{"RemoveNode", "0.1"}, true
	case PutToken:
		return Info{"PutToken", "0.1"}, true
	case RedeemToken:
		return Info{"RedeemToken", "0.1"}, true
	case DeleteToken:
		return Info{"DeleteToken", "0.1"}, true
	case PutPartitionMap:
		return Info{"PutPartitionMap", "0.1"}, true
	case InitialiseCluster:
		return Info{"InitialiseCluster", "0.1"}, true
	case Deliver:
		return Info{"Deliver", "0.1"}, true
	case Append:
		return Info{"Append", "0.1"}, true
	case CreateMailbox:
		return Info{"CreateMailbox", "0.1"}, true
	case DeleteMailbox:
		return Info{"DeleteMailbox", "0.1"}, true
	case RenameMailbox:
		return Info{"RenameMailbox", "0.1"}, true
	case Subscribe:
		return Info{"Subscribe", "0.1"}, true
	case StoreFlags:
		return Info{"StoreFlags", "0.1"}, true
	case Copy:
		return Info{"Copy", "0.1"}, true
	case Move:
		return Info{"Move", "0.1"}, true
	case Expunge:
		return Info{"Expunge", "0.1"}, true
	case DropAccount:
		return Info{"DropAccount", "0.1"}, true
	case DrainGraveyard:
		return Info{"DrainGraveyard", "0.1"}, true
	case StageChunk:
		return Info{"StageChunk", "0.1"}, true
	case DropUploads:
		return Info{"DropUploads", "0.1"}, true
	}
	return Info{}, false
}

// String gives the kind's name, or its number where the table has none.
func (k Kind) String() string {
	if info, ok := Describe(k); ok {
		return info.Name
	}
	return fmt.Sprintf("Kind(0x%04x)", uint16(k))
}
