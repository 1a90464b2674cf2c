// Package scriptpb holds the generated codecs of the stored scripts of accounts and of the command that changes them. The schema
// and its comments are in script.proto.
package scriptpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+size script.proto
