// Package queuepb holds the generated codecs of the outbound queue's stored records and commands. The schema
// and its comments are in queue.proto.
package queuepb

//go:generate protoc -I. -I../../../index/indexpb --go_out=. --go_opt=paths=source_relative --go_opt=Mindex.proto=github.com/rookery-mail/rookery/index/indexpb --go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+unmarshal_unsafe+size --go-vtproto_opt=Mindex.proto=github.com/rookery-mail/rookery/index/indexpb queue.proto
