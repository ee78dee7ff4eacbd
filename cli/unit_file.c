/* cli/unit_file.c: see unit_file.h; systemd.service(5), systemd.kill(5). */
#include "cli/unit_file.h"

#include "base/strv.h"
#include "base/util.h"

char *unit_file_name(const char *project)
{
	return xasprintf("comp-%s.service", project);
}

/* A quoted word: systemd.syntax(7).  '%' begins a specifier everywhere, '$' a variable in
 * command lines (@command). */
static void add_word(struct buf *b, const char *text, bool command)
{
	buf_printf(b, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_printf(b, "\\%c", *text);
		else if (*text == '%' || (command && *text == '$'))
			buf_printf(b, "%c%c", *text, *text);
		else if ((unsigned char)*text < ' ')
			buf_printf(b, "\\x%02x", (unsigned char)*text);
		else
			buf_printf(b, "%c", *text);
	}
	buf_printf(b, "\"");
}

/* RequiresMountsFor= takes no quotes in all versions: escape what would end the word. */
static void add_path(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (*path == ' ' || *path == '"' || *path == '\'' || *path == '\\')
			buf_printf(b, "\\");
		buf_printf(b, *path == '%' ? "%%%%" : "%c", *path);
	}
}

void unit_file_write(const struct unit_file *u, struct buf *out)
{
	buf_printf(out,
		   UNIT_MARK "%s systemd remove` takes it away.\n"
			     "[Unit]\n"
			     "Description=%s, a project of comp\n"
			     "Wants=network-online.target\n"
			     "After=network-online.target\n"
			     "StartLimitIntervalSec=0\n"
			     "RequiresMountsFor=",
		   u->project, u->project);
	add_path(out, u->root);
	buf_printf(out, "\n\n[Service]\n"
			"Type=notify\n"
			"NotifyAccess=main\n");
	STRV_FOREACH (assignment, u->environment) {
		buf_printf(out, "Environment=");
		add_word(out, *assignment, false);
		buf_printf(out, "\n");
	}
	buf_printf(out, "ExecStart=");
	add_word(out, u->program, true);
	buf_printf(out,
		   " -p %s --progress plain systemd run\n"
		   "ExecReload=/bin/kill -HUP $MAINPID\n"
		   "Restart=on-failure\n"
		   "RestartSec=1\n"
		   "KillMode=process\n"
		   "Delegate=yes\n"
		   "OOMPolicy=continue\n"
		   "TasksMax=infinity\n"
		   "TimeoutStartSec=infinity\n"
		   "\n[Install]\n"
		   "WantedBy=multi-user.target\n",
		   u->project);
}
