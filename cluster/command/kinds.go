package command

import "fmt"

// The kinds of commands. A new kind gets the next free number of its block and the version it came
// in; it is proposed only once every member of the cluster understands it.
//
// 0x01xx directory (cluster/directory), 0x02xx mailboxes (index/mailbox), 0x03xx bodies
// (index/staging), 0x04xx the outbound queue (mta/queue), 0x05xx scripts that sort mail, 0x06xx what is learnt
// of spam.
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
	NoteSharing       Kind = 0x0110
	PutAnnotations    Kind = 0x0112
	PutMail           Kind = 0x0113

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
	Replace        Kind = 0x020d
	KeepExpunged   Kind = 0x020e
	KeepDeleted    Kind = 0x020f
	DrainKept      Kind = 0x0210
	Undelete       Kind = 0x0211
	SetACL         Kind = 0x0216
	SetMetadata    Kind = 0x0212
	SetURLKey      Kind = 0x0213

	StageChunk  Kind = 0x0301
	DropUploads Kind = 0x0302
	SetBlobMode Kind = 0x0303
	ListUsers   Kind = 0x0304
	BeginPack   Kind = 0x0305
	PackBodies  Kind = 0x0306
	AbandonPack Kind = 0x0307
	ForgetPacks Kind = 0x0308
	UnpackBody  Kind = 0x0309

	Submit           Kind = 0x0401
	ClaimRecipients  Kind = 0x0402
	RetakeClaims     Kind = 0x0403
	SettleRecipients Kind = 0x0404
	EditQueue        Kind = 0x0405
	ForgetStories    Kind = 0x0406
	EditConduct      Kind = 0x0407

	EditScripts Kind = 0x0501

	Train Kind = 0x0601
)

// Since is the version of Rookery that first executed k, or ok false for a number that is not in the
// table.
func (k Kind) Since() (version string, ok bool) {
	if k.name() == "" {
		return "", false
	}
	if k.Level() == LevelFirst {
		return "0.1", true
	}
	if k.Level() == LevelSecond {
		return "0.2", true
	}
	return "0.3", true
}

// String gives the kind's name, or its number where the table has none.
func (k Kind) String() string {
	if name := k.name(); name != "" {
		return name
	}
	return fmt.Sprintf("Kind(0x%04x)", uint16(k))
}

func (k Kind) name() string {
	switch k {
	case PutDomain:
		return "PutDomain"
	case DeleteDomain:
		return "DeleteDomain"
	case PutAccount:
		return "PutAccount"
	case DeleteAccount:
		return "DeleteAccount"
	case PutAlias:
		return "PutAlias"
	case DeleteAlias:
		return "DeleteAlias"
	case PutSetting:
		return "PutSetting"
	case RegisterNode:
		return "RegisterNode"
	case UpdateNode:
		return "UpdateNode"
	case RemoveNode:
		return "RemoveNode"
	case PutToken:
		return "PutToken"
	case RedeemToken:
		return "RedeemToken"
	case DeleteToken:
		return "DeleteToken"
	case PutPartitionMap:
		return "PutPartitionMap"
	case InitialiseCluster:
		return "InitialiseCluster"
	case NoteSharing:
		return "NoteSharing"
	case PutAnnotations:
		return "PutAnnotations"
	case PutMail:
		return "PutMail"
	case Deliver:
		return "Deliver"
	case Append:
		return "Append"
	case CreateMailbox:
		return "CreateMailbox"
	case DeleteMailbox:
		return "DeleteMailbox"
	case RenameMailbox:
		return "RenameMailbox"
	case Subscribe:
		return "Subscribe"
	case StoreFlags:
		return "StoreFlags"
	case Copy:
		return "Copy"
	case Move:
		return "Move"
	case Expunge:
		return "Expunge"
	case DropAccount:
		return "DropAccount"
	case DrainGraveyard:
		return "DrainGraveyard"
	case Replace:
		return "Replace"
	case KeepExpunged:
		return "KeepExpunged"
	case KeepDeleted:
		return "KeepDeleted"
	case DrainKept:
		return "DrainKept"
	case Undelete:
		return "Undelete"
	case SetACL:
		return "SetACL"
	case SetMetadata:
		return "SetMetadata"
	case SetURLKey:
		return "SetURLKey"
	case StageChunk:
		return "StageChunk"
	case DropUploads:
		return "DropUploads"
	case SetBlobMode:
		return "SetBlobMode"
	case ListUsers:
		return "ListUsers"
	case BeginPack:
		return "BeginPack"
	case PackBodies:
		return "PackBodies"
	case AbandonPack:
		return "AbandonPack"
	case ForgetPacks:
		return "ForgetPacks"
	case UnpackBody:
		return "UnpackBody"
	case Submit:
		return "Submit"
	case ClaimRecipients:
		return "ClaimRecipients"
	case RetakeClaims:
		return "RetakeClaims"
	case SettleRecipients:
		return "SettleRecipients"
	case EditQueue:
		return "EditQueue"
	case ForgetStories:
		return "ForgetStories"
	case EditConduct:
		return "EditConduct"
	case EditScripts:
		return "EditScripts"
	case Train:
		return "Train"
	}
	return ""
}
