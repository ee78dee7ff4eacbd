/* tests/lib/failmalloc.c: let one allocation fail, in any of comp's programs.
 *
 * Linked into programs of a test build (build/release/faulty), whose malloc(3) and
 * relatives are these.  They find their orders in the file that COMP_FAULT_ALLOC
 * names, shared by all processes of a run:
 *
 *	offset 0   u64  the site whose next allocation fails, once; 0: none
 *	offset 8   u64  the site that did fail
 *	offset 16  char[16]  in which program
 *	offset 64  SITES times { u64 site, u64 count, char program[16] }: who allocated
 *
 * A site is the program, the size being left out, and the innermost callers: calls
 * that come from the same places are one site, whatever their order in time.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#define SITES  16384
#define DEPTH  4
#define CALLER 2 /* frames of our own */

struct site {
	_Atomic uint64_t id, count;
	char program[16];
};

struct orders {
	_Atomic uint64_t target, hit;
	char program[16];
	char pad[32];
	struct site sites[SITES];
};

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static struct orders *orders;
static char program[16];
static __thread int busy;

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	const char *path = getenv("COMP_FAULT_ALLOC"), *name = strrchr(argv[0], '/');
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	name = name ? name + 1 : argv[0];
	if (argc > 1 && strcmp(argv[1], "supervise") == 0)
		name = "supervisor";
	strncpy(program, name, sizeof(program) - 1);
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		orders = p;
}

struct walk {
	uint64_t hash;
	int n;
};

static void mix(struct walk *w, uint64_t v)
{
	w->hash = (w->hash ^ v) * UINT64_C(0x100000001b3);
	w->hash ^= w->hash >> 29;
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *data)
{
	struct walk *w = data;
	uintptr_t ip = _Unwind_GetIP(context);
	struct dl_find_object found;

	if (w->n++ < CALLER)
		return _URC_NO_REASON;
	mix(w, _dl_find_object((void *)ip, &found) == 0 ? ip - (uintptr_t)found.dlfo_map_start : 0);
	return w->n == CALLER + DEPTH ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void note(uint64_t id)
{
	for (size_t i = id % SITES, k = 0; k < SITES; i = (i + 1) % SITES, k++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&orders->sites[i].id, &none, id) || none == id) {
			orders->sites[i].count++;
			memcpy(orders->sites[i].program, program, sizeof(program));
			return;
		}
	}
}

/* Is this the one? */
static __attribute__((noinline)) int fails(void)
{
	struct walk w = { .hash = UINT64_C(0xcbf29ce484222325) };
	uint64_t id;

	if (!orders || busy)
		return 0;
	busy = 1;
	for (const char *p = program; *p; p++)
		mix(&w, (unsigned char)*p);
	_Unwind_Backtrace(frame, &w);
	id = w.hash ? w.hash : 1;
	busy = 0;
	note(id);
	if (orders->target != id || !atomic_compare_exchange_strong(&orders->target, &id, 0))
		return 0;
	memcpy(orders->program, program, sizeof(program));
	orders->hit = id;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails() ? NULL : __libc_realloc(p, all);
}

void *memalign(size_t align, size_t n)
{
	return fails() ? NULL : __libc_memalign(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
	void *p = memalign(align, n);

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}
