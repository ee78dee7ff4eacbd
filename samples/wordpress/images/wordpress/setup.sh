# Runs in the image's root after the packages were installed.
cat >/usr/local/bin/apache2-foreground <<'SH'
#!/bin/sh
set -e # envvars reads variables that may be unset
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR" "$APACHE_LOG_DIR"
rm -f "$APACHE_PID_FILE"
exec apache2 -D FOREGROUND "$@"
SH
chmod 0755 /usr/local/bin/apache2-foreground
a2enmod -q rewrite
a2dismod -q -f status
cat >/etc/apache2/conf-available/container.conf <<'CONF'
ServerName localhost
ErrorLog /dev/stderr
CustomLog /dev/stdout combined
<Directory /var/www/html>
	AllowOverride All
</Directory>
CONF
a2enconf -q container
sed -i 's#^\s*\(ErrorLog\|CustomLog\).*##' /etc/apache2/sites-available/000-default.conf
a2disconf -q other-vhosts-access-log || :

# WordPress as plain files without Debian's links to shared places, to be copied
# into an empty /var/www/html.
mkdir -p /usr/src
cp -rL /usr/share/wordpress /usr/src/wordpress
rm -rf /usr/src/wordpress/wp-config.php /usr/src/wordpress/wp-content/languages
mkdir -p /usr/src/wordpress/wp-content/uploads
chown -R www-data:www-data /usr/src/wordpress
rm -rf /var/www/html
install -d -o www-data -g www-data /var/www/html
