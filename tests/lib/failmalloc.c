/* tests/lib/failmalloc.c: let one allocation fail, in any of comp's programs.
 *
 * Linked into programs of a test build (build/release/faulty), whose malloc(3) and
 * relatives are these.  They find their orders in the file that COMP_FAULT_ALLOC
 * names, shared by all processes of a run:
 *
 *	offset 0   u64  the site whose next allocation fails, once; 0: none
 *	offset 8   u64  the site that did fail
 *	offset 16  char[16]  in which program
 *	offset 32  u64  how many processes ended by a SIGSEGV and the like; of the first:
 *	offset 40  u64 the signal
 *	offset 48  char[16]  in which program
 *	offset 64  FRAMES times { u64 offset, char object[40] }: where, innermost first
 *	offset 2048  the same for the allocation that failed
 *	offset 4096  SITES times { u64 site, u64 count, char program[16] }: who allocated
 *
 * A site is the program, the size being left out, and the innermost callers: calls
 * that come from the same places are one site, whatever their order in time.
 *
 * Crashes are noted in this memory by a handler of the process itself: that needs no
 * system call, which a seccomp filter might forbid, no descriptor, which
 * close_range(2) might close, and nobody who waits for the process.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#define SITES  16384
#define DEPTH  4
#define CALLER 2 /* frames of our own */
#define FRAMES 40
#define HEADER 4096

struct site {
	_Atomic uint64_t id, count;
	char program[16];
};

struct place {
	uint64_t offset; /* in the object */
	char object[40]; /* its file's name; empty: the program */
};

struct orders {
	_Atomic uint64_t target, hit;
	char program[16];
	_Atomic uint64_t crashes;
	uint64_t signal;
	char crashed[16];
	struct place frames[FRAMES];
	char pad[HEADER / 2 - 64 - FRAMES * sizeof(struct place)];
	struct place failed[FRAMES];
	char pad2[HEADER / 2 - FRAMES * sizeof(struct place)];
	struct site sites[SITES];
};
_Static_assert(offsetof(struct orders, sites) == HEADER, "tests/lib/faults.sh knows this");

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static struct orders *orders;
static char program[16];
static __thread int busy;

struct trace {
	struct place *frames;
	int n;
};

static _Unwind_Reason_Code trace_frame(struct _Unwind_Context *context, void *data)
{
	struct trace *t = data;
	uintptr_t ip = _Unwind_GetIP(context);
	struct place *p = &t->frames[t->n];
	struct dl_find_object found;
	const char *name = "?";

	p->offset = ip;
	if (_dl_find_object((void *)ip, &found) == 0) {
		p->offset = ip - found.dlfo_link_map->l_addr;
		name = strrchr(found.dlfo_link_map->l_name, '/');
		name = name ? name + 1 : "";
	}
	strncpy(p->object, name, sizeof(p->object) - 1);
	return ++t->n == FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* SA_RESETHAND: the same instruction, or abort(3), raises it again, to do what it does
 * by default. */
static void on_crash(int sig)
{
	struct trace t = { .frames = orders->frames };

	if (orders->crashes++ == 0) {
		orders->signal = (uint64_t)sig;
		memcpy(orders->crashed, program, sizeof(program));
		busy = 1;
		_Unwind_Backtrace(trace_frame, &t);
	}
}

static void watch_crashes(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
	struct sigaction sa = { .sa_handler = on_crash, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &sa, NULL); /* fails for no such signal */
}

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
	if (p == MAP_FAILED)
		return;
	orders = p;
	watch_crashes();
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
	struct trace t = { 0 };
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
	t.frames = orders->failed;
	busy = 1;
	_Unwind_Backtrace(trace_frame, &t);
	busy = 0;
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
