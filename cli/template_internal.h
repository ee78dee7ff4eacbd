/* cli/template_internal.h: a parsed template, shared by template.c (parser), template_run.c
 * and template_functions.c.
 */
#ifndef CLI_TEMPLATE_INTERNAL_H
#define CLI_TEMPLATE_INTERNAL_H

#include "cli/template.h"

enum operand_kind { OPERAND_DOT, OPERAND_VALUE, OPERAND_FUNCTION, OPERAND_PIPE };

struct pipeline;

struct operand {
	enum operand_kind kind;
	json *value;           /* OPERAND_VALUE */
	char *name;            /* OPERAND_FUNCTION */
	struct pipeline *pipe; /* OPERAND_PIPE */
	char **fields;         /* .A.B behind a dot or a parenthesis */
};

struct stage {
	struct operand *items;
	size_t n;
};

struct pipeline {
	struct stage *items;
	size_t n;
};

enum node_type { NODE_TEXT, NODE_PRINT, NODE_IF, NODE_RANGE, NODE_WITH };

struct tnode {
	enum node_type type;
	char *text;
	struct pipeline *pipe;
	struct tnode *body, *otherwise; /* lists */
	struct tnode *next;
};

struct template
{
	struct tnode *nodes;
};

/* ---- running ---------------------------------------------------------------- */
struct run {
	json *root; /* the row itself: its fields must exist */
	bool heading;
	struct err *e;
};

/* One call of a function: arguments are borrowed. */
struct call {
	json *args[16];
	size_t n;
	struct run *run;
};

/* The function @name with @c's arguments; *out is the caller's. */
int template_call(struct call *c, const char *name, json **out);
/* @v as Go's %v prints it. */
void template_print(json *v, struct buf *out);

#endif
