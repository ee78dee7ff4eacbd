/* cli/cmd_login.c: `login` and `logout`: try the credentials, then keep them where
 * Docker does. */
#include <errno.h>
#include <fcntl.h>
#include <termios.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/command.h"
#include "engine/image/ref.h"
#include "engine/image/registry.h"

#define SECRET_MAX 65536

struct login_options {
	const char *user, *password;
	bool password_stdin;
};
#define O struct login_options
static const struct option_spec login_flags[] = {
	OPTION_STRING("password", 'p', O, password, NULL,
		      "Password or Personal Access Token (PAT)"),
	OPTION_BOOL("password-stdin", 0, O, password_stdin,
		    "Take the Password or Personal Access Token (PAT) from stdin"),
	OPTION_STRING("username", 'u', O, user, NULL, "Username"),
	OPTION_END,
};
#undef O

/* "https://host:5000/v2/", "host:5000" or nothing: the registry's domain; caller frees. */
static int domain_of(const char *text, char **out, struct err *e)
{
	_cleanup_(free_p) char *host = NULL, *as_ref = NULL;
	const char *s = text ? text : "docker.io";
	struct image_ref ref;

	s = skip_prefix(s, "https://") ?: skip_prefix(s, "http://") ?: s;
	host = xstrndup(s, strcspn(s, "/"));
	if (streq(host, "index.docker.io") || streq(host, "registry-1.docker.io"))
		str_set(&host, "docker.io");
	/* What could stand in front of an image's name. */
	as_ref = xasprintf("%s/x", host);
	if (ref_parse(as_ref, &ref, NULL) == 0) {
		bool same = streq(ref.domain, host);

		ref_done(&ref);
		if (same) {
			*out = TAKE_PTR(host);
			return 0;
		}
	}
	err_set(e, EINVAL, "\"%.200s\" is not a registry", text ? text : "");
	return err_hint(e, "name its host: registry.example or localhost:5000");
}

static void cut_newline(char *s)
{
	size_t n = strlen(s);

	if (n && s[n - 1] == '\n')
		s[--n] = '\0';
	if (n && s[n - 1] == '\r')
		s[--n] = '\0';
}

static int read_stdin(char **out, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = fd_read_all(STDIN_FILENO, SECRET_MAX, &text);

	if (r < 0)
		return err_errno(e, -r, "read the password");
	if (strlen(buf_str(&text)) != text.len)
		return err_set(e, EINVAL, "the password holds a NUL byte");
	*out = text.len ? buf_take(&text) : xstrdup("");
	cut_newline(*out);
	return 0;
}

/* A line from the terminal, not echoed when @secret. */
static int prompt(struct context *ctx, const char *text, bool secret, char **out, struct err *e)
{
	_cleanup_(fd_closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	struct termios old, silent;
	char line[1024];
	ssize_t n;

	if (tty < 0 || tcgetattr(tty, &old) < 0) {
		err_set(e, EINVAL, "there is no terminal to ask for the %s",
			secret ? "password" : "user name");
		return err_hint(e, "use --username and --password-stdin");
	}
	fprintf(ctx->err, "%s: ", text);
	fflush(ctx->err);
	silent = old;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	if (secret)
		(void)tcsetattr(tty, TCSAFLUSH,
				&silent); /* then it is seen: no worse than typing */
	n = read(tty, line, sizeof(line) - 1);
	if (secret) {
		(void)tcsetattr(tty, TCSAFLUSH, &old);
		fputc('\n', ctx->err);
	}
	if (n <= 0)
		return err_set(e, ECANCELED, "nothing was entered");
	*out = xstrndup(line, (size_t)n);
	explicit_bzero(line, sizeof(line));
	cut_newline(*out);
	return 0;
}

static int check_login(const struct login_options *o, struct err *e)
{
	if (o->password && o->password_stdin)
		return err_set(e, EINVAL, "--password and --password-stdin are mutually exclusive");
	if (o->password_stdin && is_empty(o->user))
		return err_set(e, EINVAL, "Must provide --username with --password-stdin");
	return 0;
}

static int gather(struct context *ctx, const struct login_options *o, struct credentials *c,
		  struct err *e)
{
	int r = 0;

	if (o->user)
		c->user = xstrdup(o->user);
	else
		r = prompt(ctx, "Username", false, &c->user, e);
	if (r == 0 && o->password) {
		ctx_warn(ctx, "Using --password via the CLI is insecure. Use --password-stdin.");
		c->secret = xstrdup(o->password);
	} else if (r == 0 && o->password_stdin) {
		r = read_stdin(&c->secret, e);
	} else if (r == 0) {
		r = prompt(ctx, "Password", true, &c->secret, e);
	}
	if (r == 0 && (is_empty(c->user) || is_empty(c->secret)))
		r = err_set(e, EINVAL, "the user name or the password is empty");
	/* It separates them in HTTP Basic; RFC 7617. */
	if (r == 0 && strchr(c->user, ':'))
		r = err_set(e, EINVAL, "a user name cannot hold a colon");
	if (r == 0)
		c->source = xasprintf("user %s", c->user);
	return r;
}

/* Would the registry take them? */
static int try_login(struct context *ctx, const char *domain, const struct credentials *c,
		     struct err *e)
{
	_cleanup_(registries_freep) struct registries *registries = NULL;
	_cleanup_(registry_answer_done) struct registry_answer a = { 0 };
	struct registry_request q = { .op = REGISTRY_CHECK, .fd = -EBADF };
	struct registry_endpoints l;
	int r = registries_new(&registries, e), cancel;

	if (r < 0)
		return r;
	cancel = ctx_cancel_fd(ctx, e);
	if (cancel < 0)
		return cancel;
	registry_config_endpoints(registries_config(registries), domain, &l);
	q.endpoint = registries_endpoint(registries, &l.items[l.n - 1], c, e);
	registry_endpoints_done(&l);
	if (q.endpoint < 0)
		return q.endpoint;
	return registry_ask(registries, &q, cancel, &a, e);
}

static int run_login(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct login_options *o = in->options;
	_cleanup_(credentials_done) struct credentials c = { 0 };
	_cleanup_(free_p) char *domain = NULL, *where = NULL;
	bool plain;
	int r = check_login(o, e);

	if (r == 0)
		r = domain_of(in->argv[0], &domain, e);
	if (r == 0)
		r = gather(ctx, o, &c, e);
	if (r == 0) {
		r = try_login(ctx, domain, &c, e);
		if (r < 0 && r != -ECANCELED)
			r = err_wrap(e, r, "login to %s", domain);
	}
	if (r == 0)
		r = credentials_store(domain, &c, &plain, &where, e);
	if (r < 0)
		return r;
	if (plain)
		ctx_warn(ctx, "Your credentials are stored unencrypted in '%s'.", where);
	fprintf(ctx->out, "Login Succeeded\n");
	return 0;
}

const struct command cmd_login = {
	.name = "login",
	.args = "[OPTIONS] [SERVER]",
	.summary = "Log in to a registry",
	.options = login_flags,
	.options_size = sizeof(struct login_options),
	.max_args = 1,
	.run = run_login,
};

static int run_logout(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(free_p) char *domain = NULL;
	struct err why = ERR_INIT;
	int r = domain_of(in->argv[0], &domain, e);

	if (r < 0)
		return r;
	r = credentials_erase(domain, &why);
	if (r == -ENOENT) { /* docker says so and succeeds */
		fprintf(ctx->out, "Not logged in to %s\n", domain);
		return 0;
	}
	if (r < 0) {
		if (e)
			*e = why;
		return r;
	}
	fprintf(ctx->out, "Removing login credentials for %s\n", credentials_key(domain));
	return 0;
}

const struct command cmd_logout = {
	.name = "logout",
	.args = "[SERVER]",
	.summary = "Log out from a registry",
	.max_args = 1,
	.run = run_logout,
};
