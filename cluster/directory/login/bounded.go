package login

import "container/list"

// bounded is a map of at most size entries; the one that was touched longest ago goes first. It is
// guarded by its owner.
type bounded[K comparable, V any] struct {
	size  int
	items map[K]*list.Element // of pair[K, V]
	order *list.List          // the last touched in front
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newBounded[K comparable, V any](size int) *bounded[K, V] {
	return &bounded[K, V]{size: size, items: make(map[K]*list.Element), order: list.New()}
}

func (b *bounded[K, V]) get(key K) (value V, ok bool) {
	e, ok := b.items[key]
	if !ok {
		return value, false
	}
	b.order.MoveToFront(e)
	return e.Value.(*pair[K, V]).value, true
}

func (b *bounded[K, V]) put(key K, value V) {
	if e, ok := b.items[key]; ok {
		e.Value.(*pair[K, V]).value = value
		b.order.MoveToFront(e)
		return
	}
	b.items[key] = b.order.PushFront(&pair[K, V]{key, value})
	if len(b.items) > b.size {
		last := b.order.Back()
		b.order.Remove(last)
		delete(b.items, last.Value.(*pair[K, V]).key)
	}
}

func (b *bounded[K, V]) remove(key K) {
	if e, ok := b.items[key]; ok {
		b.order.Remove(e)
		delete(b.items, key)
	}
}
