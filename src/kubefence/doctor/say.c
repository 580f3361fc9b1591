/* SPDX-License-Identifier: Apache-2.0 */
/* The text that a check of doctor leaves for its line. */
#include "base/escape.h"
#include "kubefence/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum kf_doctor_result kf_doctor_say(struct kf_doctor *doctor, enum kf_doctor_result result,
				    const char *fmt, ...)
{
	char text[sizeof(doctor->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)kf_escape(doctor->text, sizeof(doctor->text), text, strlen(text));
	return result;
}
